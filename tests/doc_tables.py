"""The table of families in docs/models.md, from the registry and the families' docstrings.

PYTHONPATH=src:tests python -m doc_tables    writes it again
"""

from __future__ import annotations

import importlib
from pathlib import Path

from litertlm.families import FAMILIES
from litertlm.families.multimodal import MULTIMODAL

FILE = Path(__file__).parents[1] / "docs" / "models.md"
HEAD = "| `model_type` | file | models, and what is their own |\n|---|---|---|\n"


def families_table() -> str:
    """One row for each family: its model types, its file, the first line of its docstring."""
    return HEAD + "".join(map(_row, sorted(FAMILIES)))


def _row(model_type: str) -> str:
    module = FAMILIES[model_type]
    outer = [name for name, text in MULTIMODAL.items() if text == model_type]
    names = ", ".join(f"`{name}`" for name in (model_type, *outer))
    text = importlib.import_module(f"litertlm.families.{module}").__doc__ or ""
    return f"| {names} | `{module}.py` | {text.splitlines()[0].rstrip('.')} |\n"


def main() -> None:
    """Replace the table."""
    before, _, rest = FILE.read_text().partition(HEAD)
    after = rest[rest.index("\n\n") + 1 :]
    FILE.write_text(before + families_table() + after)


if __name__ == "__main__":
    main()
