"""Convert tiny checkpoints and run the TFLite model of the bundle in the LiteRT interpreter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from converted import write_bundle
from litertlm.bundle_format.constants import TFLITE_MODEL
from litertlm.bundle_format.header import read_header
from litertlm.services.convert.options import ConvertOptions
from tiny import MODELS, write_checkpoint

CACHE = 96  # tokens; longer than the texts of the goldens
PREFILL = (8, 32)  # lengths of static prefill signatures
MASKED = np.float32(-0.7 * np.finfo(np.float32).max)  # what the LiteRT-LM runtime writes


def convert_folder(
    source: Path, recipe: str = "none", shapes: str = "dynamic", *, base: Path | None = None
) -> Path:
    """Convert a checkpoint folder, or an adapter of `base`, to a bundle next to it."""
    options = ConvertOptions(
        recipe=recipe, shapes=shapes, kv_cache_max_len=CACHE, prefill_lengths=PREFILL
    )
    target = source.with_name(f"{source.name}-{recipe}-{shapes}.litertlm")
    return write_bundle(source, target, options, base=base)


class TinyBundles:
    """The tiny checkpoints and their bundles, each made once.

    Args:
        folder: where they are kept; tests only read them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def checkpoint(self, name: str) -> Path:
        """The checkpoint folder of one of tiny.MODELS, without a chat template."""
        folder = self._folder / name / "checkpoint"
        if not folder.exists():
            write_checkpoint(MODELS[name], folder, chat_template=None)
        return folder

    def bundle(self, name: str, recipe: str = "none", shapes: str = "dynamic") -> Path:
        """The bundle of one of tiny.MODELS."""
        path = self._folder / name / f"checkpoint-{recipe}-{shapes}.litertlm"
        return path if path.exists() else convert_folder(self.checkpoint(name), recipe, shapes)


def tflite_model(bundle: Path) -> bytes:
    """The TFLite section of a bundle."""
    section = read_header(bundle).first(TFLITE_MODEL)
    assert section is not None
    with bundle.open("rb") as file:
        file.seek(section.begin)
        return file.read(section.nbytes)


class Decoder:
    """A converted model driven as LiteRT-LM drives it: prefill all but one token, then decode."""

    def __init__(self, bundle: Path) -> None:
        self._interpreter = Interpreter(model_content=tflite_model(bundle), num_threads=1)
        self._runners = {
            name: self._interpreter.get_signature_runner(name)
            for name in self._interpreter.get_signature_list()
        }
        details = self._runners["decode"].get_input_details()
        outputs = self._runners["decode"].get_output_details()
        self._dynamic = "prefill" in self._runners
        self._empty: dict[str, NDArray[np.float32]] = {}
        for name, detail in details.items():
            if name in outputs:  # a state
                shape = [CACHE if n == -1 else n for n in detail["shape_signature"]]
                self._empty[name] = np.zeros(shape, np.float32)
        self._cache = self._empty

    def logits(self, tokens: NDArray[np.int32], prompt: int) -> NDArray[np.float32]:
        """Prefill the first `prompt` tokens, decode the others: logits after each token from
        the prompt's last on, `[len(tokens) - prompt + 1, vocab]`.
        """
        self._cache = self._empty
        self._prefill(tokens[: prompt - 1])
        rows = [self._decode(tokens[i], i) for i in range(prompt - 1, len(tokens))]
        return np.stack(rows)

    def _prefill(self, tokens: NDArray[np.int32]) -> None:
        start = 0
        while start < len(tokens):
            left = len(tokens) - start
            if self._dynamic:
                name, length = "prefill", left
            else:  # the shortest signature that takes the rest, else the longest
                length = next((n for n in PREFILL if n >= left), PREFILL[-1])
                name = f"prefill_{length}"
            count = min(left, length)
            self._run(name, tokens[start : start + count], start, length)
            start += count

    def _decode(self, token: np.int32, position: int) -> NDArray[np.float32]:
        row: NDArray[np.float32] = self._run("decode", np.array([token]), position, 1)[0, 0]
        return row

    def _run(
        self, name: str, tokens: NDArray[np.int32], start: int, length: int
    ) -> NDArray[np.float32]:
        """One call of a signature; tokens and positions are padded to its length."""
        count = len(tokens)
        ids = np.zeros((1, length), np.int32)
        ids[0, :count] = tokens
        positions = np.zeros(length, np.int32)
        positions[:count] = np.arange(start, start + count)
        mask = np.full((1, 1, length, CACHE), MASKED)
        for row in range(count):
            mask[0, 0, row, : start + row + 1] = 0.0
        outputs = self._runners[name](tokens=ids, input_pos=positions, mask=mask, **self._cache)
        self._cache = {key: outputs[key] for key in self._cache}
        return outputs.get("logits", np.empty(0, np.float32))
