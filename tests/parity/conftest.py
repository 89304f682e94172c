"""The tiny models' bundles, shared by all tests of one run."""

from __future__ import annotations

import pytest

from parity.bundle import TinyBundles


@pytest.fixture(scope="session")
def tiny_bundles(tmp_path_factory: pytest.TempPathFactory) -> TinyBundles:
    return TinyBundles(tmp_path_factory.mktemp("tiny"))
