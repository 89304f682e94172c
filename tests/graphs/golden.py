"""The graphs of one tiny model of each family as text, and the hashes of one conversion.

    PYTHONPATH=src:tests python -m graphs.golden     writes tests/graphs/goldens again

Read the difference before you commit it: it is the change in what every user's model computes.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from litertlm.checkpoint import open_checkpoint
from litertlm.families import identify
from litertlm.graph.printer import dump
from litertlm.graph.verify import verify
from litertlm.services.convert.conversion import convert
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import plan_conversion, signatures
from recorder import Recorder
from tiny import MODELS, write_checkpoint

FOLDER = Path(__file__).parent / "goldens"
# The first model of each model_type.
MODELS_SHOWN = tuple({m.config["model_type"]: m.name for m in reversed(MODELS.values())}.values())
SHAPES = ("dynamic", "static")
HASHED_MODEL = "llama-llama3-f16-sharded"


def graph_text(name: str, shapes: str) -> str:
    """The graphs of a tiny model, checked and printed."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = open_checkpoint(write_checkpoint(MODELS[name], Path(folder)))
        model = identify(checkpoint.config).build(checkpoint, signatures(_options(shapes)))
    verify(model)
    return dump(model)


def weight_hashes(recipe: str = "dynamic_int8") -> str:
    """One line for each weight of a conversion: the sha256 of its bytes and of its scales."""
    with tempfile.TemporaryDirectory() as folder:
        source = write_checkpoint(MODELS[HASHED_MODEL], Path(folder) / "checkpoint")
        bundle = Path(folder) / "model.litertlm"
        options = ConvertOptions(recipe=recipe, kv_cache_max_len=64)
        convert(source, bundle, options, progress=Recorder())
        layout = plan_conversion(source, options).layouts[0]
        data = bundle.read_bytes()
    start = len(data) - layout.nbytes
    lines = []
    for weight in layout.weights:
        nbytes = weight.encoding.nbytes(weight.constant.shape)
        begin = start + weight.offset
        line = f"{weight.constant.name} {weight.encoding.name} {_sha256(data, begin, nbytes)}"
        if weight.scales is not None:
            rows = weight.constant.shape[0]
            line += f" scales {_sha256(data, start + weight.scales, 4 * rows)}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _options(shapes: str) -> ConvertOptions:
    return ConvertOptions(shapes=shapes, kv_cache_max_len=64, prefill_lengths=(8,))


def _sha256(data: bytes, begin: int, nbytes: int) -> str:
    return hashlib.sha256(data[begin : begin + nbytes]).hexdigest()


def main() -> None:
    """Write all goldens."""
    for name in MODELS_SHOWN:
        for shapes in SHAPES:
            (FOLDER / f"{name}.{shapes}.txt").write_text(graph_text(name, shapes))
    (FOLDER / f"{HASHED_MODEL}.sha256.txt").write_text(weight_hashes())


if __name__ == "__main__":
    main()
