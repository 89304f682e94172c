"""Keys and defaults of transformers' config classes, from the data file beside this module.

reference_keys.json is written by tests/parity/make_keys_goldens.py: `common` are the keys that all
classes have with the same default, `keys` the others by `model_type`. It has `Infinity`, which
Python reads and JSON does not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".json")


def _read() -> dict[str, dict[str, Any]]:
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return {name: {**content["common"], **own} for name, own in content["keys"].items()}


KEYS: Mapping[str, Mapping[str, Any]] = _read()
"""The default of every key, by `model_type`."""
