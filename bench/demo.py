"""Bundles of the demo model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def convert(recipe: str, folder: Path) -> Path:
    """Convert the demo model with a recipe in `folder`, and keep the checkpoint there."""
    command = [
        sys.executable, "-m", "litertlm", "--models-dir", str(folder), "convert", "demo",
        "--quantize", recipe, "--output-dir", str(folder / recipe), "--json", "--quiet",
        "--no-check",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return Path(json.loads(done.stdout)["path"])
