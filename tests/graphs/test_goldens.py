"""Graphs and quantized weights change only when someone means them to (graphs/golden.py)."""

from __future__ import annotations

import pytest

from graphs.golden import FOLDER, HASHED_MODEL, MODELS_SHOWN, SHAPES, graph_text, weight_hashes
from litertlm.families import FAMILIES
from tiny import MODELS


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("name", MODELS_SHOWN)
def test_graph_is_the_golden_one(name: str, shapes: str) -> None:
    assert graph_text(name, shapes) == (FOLDER / f"{name}.{shapes}.txt").read_text()


def test_int8_weights_and_scales_are_the_golden_ones() -> None:
    assert weight_hashes() == (FOLDER / f"{HASHED_MODEL}.sha256.txt").read_text()


def test_every_family_has_a_golden_graph() -> None:
    shown = {MODELS[name].text_config["model_type"] for name in MODELS_SHOWN}
    assert shown == set(FAMILIES)
