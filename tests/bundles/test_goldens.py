"""Converting the tiny checkpoints gives the bytes that it always gave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bundles.golden import FILE, SOURCES, bundle_hashes, demo_hashes

GOLDENS = json.loads(FILE.read_text())


@pytest.mark.parametrize("source", SOURCES)
def test_bundle_bytes(source: str) -> None:
    assert bundle_hashes(source) == GOLDENS[source]


def test_bundle_bytes_of_the_demo_model(
    demo_gguf: Path, demo_bundle: Path, demo_float_bundle: Path
) -> None:
    made = {"dynamic_int8-dynamic": demo_bundle, "none-dynamic": demo_float_bundle}
    assert demo_hashes(demo_gguf, made) == GOLDENS["demo"]


def test_no_golden_is_left_over() -> None:
    assert set(GOLDENS) == {*SOURCES, "demo"}
