"""Write the table of the keys of transformers' config classes, or compare; as make_goldens.py."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from litertlm.families import FAMILIES
from litertlm.families import reference_keys as stored

HEAD = f'''"""Keys and defaults of the config classes of transformers {transformers.__version__}.

Written by tests/parity/make_keys_goldens.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

'''


def table() -> dict[str, dict[str, object]]:
    """`model_type` to the fields of its config class, in alphabetical order."""
    made: dict[str, dict[str, object]] = {}
    for model_type in sorted(FAMILIES):
        fields = dataclasses.fields(CONFIG_MAPPING[model_type])
        made[model_type] = {f.name: f.default for f in sorted(fields, key=lambda f: f.name)}
    return made


def source(made: dict[str, dict[str, object]]) -> str:
    """The module, as the formatter has it; what all classes have alike is written once."""
    first, *others = made.values()
    common = {
        key: value
        for key, value in first.items()
        if all(key in keys and keys[key] == value for keys in others)
    }
    text = HEAD + "_COMMON: Mapping[str, Any] = {\n" + _items(common, 4) + "}\n\n"
    text += "KEYS: Mapping[str, Mapping[str, Any]] = {\n"
    for model_type, keys in made.items():
        own = {key: value for key, value in keys.items() if key not in common}
        text += f'    "{model_type}": {{\n        **_COMMON,\n{_items(own, 8)}    }},\n'
    return text + "}\n"


def _items(keys: dict[str, object], indent: int) -> str:
    lines = ""
    for key, value in keys.items():
        shown = f'"{value}"' if isinstance(value, str) else repr(value)
        lines += f'{" " * indent}"{key}": {shown},\n'
    return lines


def main() -> int:
    """Write or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    made = table()
    if not parser.parse_args().check:
        Path(stored.__file__).write_text(source(made))
        print(f"{len(made)} config classes written")
        return 0
    differ = [name for name in made if made[name] != stored.KEYS.get(name)]
    print(f"config classes: {', '.join(differ) or 'same'}")
    return int(bool(differ))


if __name__ == "__main__":
    sys.exit(main())
