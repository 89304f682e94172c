"""The generated tables of docs/chat.md are up to date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_tables_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "make_chat.py", "--check"], check=False)
    assert done.returncode == 0, "run `python docs/make_chat.py`"
