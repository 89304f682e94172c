"""The packages of services/: what their entries offer, and what they import for it."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

PACKAGES = ("acquire", "chat", "convert", "serve", "verify", "worker")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_of_an_entry_can_be_imported(package: str) -> None:
    entry = import_module(f"litertlm.services.{package}")
    for module, names in entry.EXPORTS.items():
        inner = import_module(f"litertlm.services.{package}.{module}")
        for name in names:
            assert getattr(entry, name) is getattr(inner, name)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_an_entry_does_not_offer_is_an_import_error(package: str) -> None:
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        exec(f"from litertlm.services.{package} import nonsense")


@pytest.mark.parametrize("package", PACKAGES)
def test_an_entry_imports_none_of_its_modules(package: str) -> None:
    code = (
        f"import sys, litertlm.services.{package}\n"
        "print(*(name for name in sys.modules if name.startswith('litertlm')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {
        "litertlm",
        "litertlm.services",
        "litertlm.lazy",
        f"litertlm.services.{package}",
    }
