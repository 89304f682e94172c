"""Tables of docs/models.md: families with their docstrings, and the config keys that each reads.

PYTHONPATH=src:tests python -m doc_tables    writes it again
"""

from __future__ import annotations

import importlib
from pathlib import Path

from litertlm.families import FAMILIES
from litertlm.families.config_reader import ConfigReader
from litertlm.families.multimodal import MULTIMODAL
from tiny import MODELS, TinyModel

FILE = Path(__file__).parents[1] / "docs" / "models.md"
KEYS_HEAD = "| `model_type` | keys of config.json |\n|---|---|\n"
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


def keys_table() -> str:
    """The config keys that every family reads, and for each family those that others do not."""
    read = {}
    for model_type in sorted(FAMILIES):
        config = next(m.text_config for m in MODELS.values() if _is(m, model_type))
        reader = ConfigReader(config)
        importlib.import_module(f"litertlm.families.{FAMILIES[model_type]}").read_config(reader)
        read[model_type] = {key for key in reader.keys_read if "." not in key}
    common = set.intersection(*read.values())
    rows = [("all", common), *((name, keys - common) for name, keys in read.items())]
    return KEYS_HEAD + "".join(f"| {_code(name)} | {_codes(keys)} |\n" for name, keys in rows)


def _is(model: TinyModel, model_type: str) -> bool:
    return bool(model.text_config["model_type"] == model_type)


def _code(name: str) -> str:
    return name if name == "all" else f"`{name}`"


def _codes(keys: set[str]) -> str:
    return ", ".join(f"`{key}`" for key in sorted(keys))


def main() -> None:
    """Replace the tables."""
    for head, table in ((HEAD, families_table()), (KEYS_HEAD, keys_table())):
        before, _, rest = FILE.read_text().partition(head)
        after = rest[f"\n{rest}".index("\n\n") :]
        FILE.write_text(before + table + after)


if __name__ == "__main__":
    main()
