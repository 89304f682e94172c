"""The documents name what the program has."""

from __future__ import annotations

from pathlib import Path

from doc_tables import families_table
from litertlm.families.rope import ROPE_TYPES
from litertlm.services.acquire.catalog import CATALOG

DOCS = Path(__file__).parents[2] / "docs"


def test_models_document_has_the_table_of_families() -> None:
    assert families_table() in (DOCS / "models.md").read_text(), "run python -m doc_tables"


def test_models_document_names_every_rotation_and_every_short_name() -> None:
    text = (DOCS / "models.md").read_text()
    missing = [name for name in ROPE_TYPES if f"`{name}`" not in text]
    for entry in CATALOG:
        row = next((line for line in text.splitlines() if f"| `{entry.alias}` |" in line), "")
        facts = [f"{entry.context:,}", entry.licence] + ["gated"] * entry.gated
        facts += [] if entry.package else [entry.model]
        missing += [f"{entry.alias}: {fact}" for fact in facts if fact not in row]
    assert not missing
