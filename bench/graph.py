"""Building, checking and encoding the graph without weights: the fixed cost of a conversion.

    python bench/graph.py [SIZE...]

Prints milliseconds of CPU time (best of five) from the open checkpoint to the finished flatbuffer,
for dynamic shapes and for the seven static signatures; then the time to write one TFLite Tensor
table with our encoder and with the package `flatbuffers`.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import flatbuffers
from checkpoints import write_random_checkpoint
from model_sizes import SIZES

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from litertlm.checkpoint import Checkpoint, open_checkpoint
from litertlm.families import identify
from litertlm.quantize import RECIPES
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import plan_models, signatures
from litertlm.tflite import schema
from litertlm.tflite.flatbuffer import Builder

LIMITS = {"dynamic": 500, "static": 1000}  # milliseconds, for 28 layers
TABLES = 20_000
COLLECT_AFTER = 100_000  # objects, as in a conversion (litertlm/__main__.py)


def best(work: Callable[[], object]) -> float:
    """The minimum CPU time of five runs, in milliseconds."""
    times = []
    for _ in range(5):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times) * 1000


def graph(checkpoint: Checkpoint, shapes: str) -> int:
    """All work between reading the headers and the first weight; returns the flatbuffer."""
    options = ConvertOptions(shapes=shapes)
    models = {"model": identify(checkpoint.config).build(checkpoint, signatures(options))}
    layouts = plan_models(models, RECIPES[options.recipe], cache_length=options.kv_cache_max_len)
    return len(layouts["model"].flatbuffer)


def ours() -> None:
    """Tensor tables with our encoder."""
    b = Builder()
    for i in range(TABLES):
        schema.tensor(b, f"t{i}", (1, 1, 2048), 0, 0, signature=(1, -1, 2048))


def package() -> None:
    """The same tables with the package `flatbuffers`, as generated code does it."""
    b = flatbuffers.Builder(1 << 20)
    for i in range(TABLES):
        name = b.CreateString(f"t{i}")
        vectors = []
        for sizes in ((1, 1, 2048), (1, -1, 2048)):
            b.StartVector(4, 3, 4)
            for size in reversed(sizes):
                b.PrependInt32(size)
            vectors.append(b.EndVector())
        b.StartObject(10)
        b.PrependUOffsetTRelativeSlot(0, vectors[0], 0)
        b.PrependUOffsetTRelativeSlot(3, name, 0)
        b.PrependUOffsetTRelativeSlot(7, vectors[1], 0)
        b.PrependBoolSlot(8, True, False)
        b.EndObject()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sizes", nargs="*", default=["qwen3-0.6b"])
    gc.set_threshold(COLLECT_AFTER)
    slow = False
    print("| graph | shapes | flatbuffer | CPU ms | limit |\n| --- | --- | --- | --- | --- |")
    for size in parser.parse_args().sizes:
        with tempfile.TemporaryDirectory() as folder:
            write_random_checkpoint(Path(folder) / "checkpoint", SIZES[size])
            checkpoint = open_checkpoint(Path(folder) / "checkpoint")
            for shapes, limit in LIMITS.items():
                nbytes = graph(checkpoint, shapes)
                taken = best(partial(graph, checkpoint, shapes))
                slow |= taken > limit
                print(f"| {size} | {shapes} | {nbytes / 1e6:.1f} MB | {taken:.0f} | {limit} |")
    mine, theirs = best(ours) / TABLES * 1000, best(package) / TABLES * 1000
    print("\n| one Tensor table | microseconds | ratio |\n| --- | --- | --- |")
    print(f"| tflite/flatbuffer.py | {mine:.1f} | 1.0 |")
    print(f"| package flatbuffers | {theirs:.1f} | {theirs / mine:.1f} |")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
