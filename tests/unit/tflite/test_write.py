"""The order in which a TFLite file becomes final, and the place of its scales."""

from __future__ import annotations

import importlib
import os
from itertools import pairwise
from pathlib import Path

import pytest

from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import plan_conversion
from litertlm.tflite import Layout, write
from tiny import MODELS, write_checkpoint

RECIPES = ("dynamic_int8", "dynamic_int4", "none")
BASE = 192  # where the model begins in its file

# The package's functions hide the modules of the same name.
plan_module = importlib.import_module("litertlm.tflite.plan")
write_module = importlib.import_module("litertlm.tflite.write")


def layout_of(folder: Path, recipe: str) -> Layout:
    source = write_checkpoint(MODELS["qwen3-gqa-tied"], folder / "checkpoint")
    return plan_conversion(source, ConvertOptions(recipe=recipe, kv_cache_max_len=64)).layouts[0]


def written(layout: Layout, path: Path) -> tuple[bytes, list[tuple[int, bytes]]]:
    """The file, and the bytes before each offset when it was reported as final."""
    reported: list[tuple[int, bytes]] = []
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        os.ftruncate(fd, BASE + layout.nbytes)

        def final(end: int) -> None:
            reported.append((end, os.pread(fd, end, 0)))

        write(fd, BASE, layout, threads=3, advance=lambda nbytes: None, final=final)
    finally:
        os.close(fd)
    return path.read_bytes(), reported


@pytest.mark.parametrize("reach", [None, 100_000], ids=["scales last", "scales in between"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_nothing_before_a_final_offset_changes(
    recipe: str, reach: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_module, "BLOCK_VALUES", 256)
    if reach:
        monkeypatch.setattr(plan_module, "_REACH", reach)
    data, reported = written(layout_of(tmp_path, recipe), tmp_path / "model.tflite")
    assert all(before == data[:end] for end, before in reported)
    assert len(reported) > 20
    assert reported[-1][0] == len(data)


@pytest.mark.parametrize("recipe", RECIPES)
def test_all_but_the_scales_is_final_before_them(recipe: str, tmp_path: Path) -> None:
    layout = layout_of(tmp_path, recipe)
    _, reported = written(layout, tmp_path / "model.tflite")
    before = max(end for end, _ in reported[:-1])
    assert before == BASE + layout.first_scales
    assert all(weight.offset < layout.first_scales for weight in layout.weights)


def test_scales_of_a_long_file_lie_where_offsets_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach = 100_000
    monkeypatch.setattr(plan_module, "_REACH", reach)
    layout = layout_of(tmp_path, "dynamic_int8")
    assert layout.nbytes > reach  # as a file of more than 2 GiB is
    scaled = [weight for weight in layout.weights if weight.scales is not None]
    assert len(scaled) > 10
    for weight in scaled:
        assert weight.scales is not None
        assert layout.first_scales < weight.scales
        assert weight.scales + 4 * weight.constant.shape[0] <= reach
    # Weights before them and after them: no two parts share a byte.
    parts = [(w.offset, w.encoding.nbytes(w.constant.shape)) for w in layout.weights]
    parts += [(w.scales, 4 * w.constant.shape[0]) for w in scaled if w.scales]
    parts.sort()
    assert parts[0][0] >= len(layout.flatbuffer)
    for (offset, nbytes), (following, _) in pairwise(parts):
        assert offset + nbytes <= following
    assert min(w.offset for w in layout.weights) < layout.first_scales
    assert max(w.offset for w in layout.weights) > layout.first_scales
