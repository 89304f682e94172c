"""Write the table of the keys of transformers' config classes, or compare; as make_goldens.py."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys

import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from litertlm.families import FAMILIES
from litertlm.families.reference_keys import FILE


def table() -> dict[str, dict[str, object]]:
    """`model_type` to the fields of its config class, in alphabetical order."""
    made: dict[str, dict[str, object]] = {}
    for model_type in sorted(FAMILIES):
        fields = dataclasses.fields(CONFIG_MAPPING[model_type])
        made[model_type] = {f.name: f.default for f in sorted(fields, key=lambda f: f.name)}
    return made


def content(made: dict[str, dict[str, object]]) -> str:
    """The file; what all classes have alike is written once."""
    first, *others = made.values()
    common = {
        key: value
        for key, value in first.items()
        if all(key in keys and keys[key] == value for keys in others)
    }
    own = {
        name: {key: value for key, value in keys.items() if key not in common}
        for name, keys in made.items()
    }
    values = {"transformers": transformers.__version__, "common": common, "keys": own}
    return json.dumps(values, indent=1) + "\n"


def main() -> int:
    """Write or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    made = table()
    if not parser.parse_args().check:
        FILE.write_text(content(made))
        print(f"{len(made)} config classes written")
        return 0
    differs = FILE.read_text() != content(made)
    print(f"config classes: {'other keys or defaults' if differs else 'same'}")
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
