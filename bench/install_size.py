"""Print the size on disk of the launcher's environment, and its largest packages.

python bench/install_size.py [VENV]
"""

from __future__ import annotations

import sys
from pathlib import Path

LIMIT_MB = 350
SHOWN = 12


def size_mb(path: Path) -> float:
    """Disk usage of the files below `path` in MB (10^6 bytes), without following links."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.lstat().st_blocks * 512 for file in files) / 1e6


def main() -> int:
    venv = Path(sys.argv[1] if len(sys.argv) > 1 else ".venv")
    packages = next(venv.glob("lib/python*/site-packages"))
    parts = sorted(((size_mb(p), p.name) for p in packages.iterdir()), reverse=True)
    total = size_mb(venv)
    print("| part | MB |\n|---|---|")
    for size, name in parts[:SHOWN]:
        print(f"| {name} | {size:.1f} |")
    print(f"| {len(parts) - SHOWN} smaller ones | {sum(size for size, _ in parts[SHOWN:]):.1f} |")
    print(f"| all; the limit is {LIMIT_MB} MB | {total:.1f} |")
    return int(total > LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main())
