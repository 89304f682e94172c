"""Run the benches that need nothing but this machine, and write bench/RESULTS.md.

    python bench/run.py [--peers]

`--peers` also measures other programs at the same work; they are installed first (gigabytes).
Each bench prints its own table and can be run alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "RESULTS.md"

# Title, command, and what --peers adds to it.
BENCHES = (
    ("Conversion against its floor", ["convert.py"], ["--peers"]),
    ("Recipes on the demo model", ["recipes.py"], []),
    ("Start of the program", ["startup.py"], []),
    ("Size of the base install", ["install_size.py", ".venv"], []),
)
PEER_BENCHES = (("One answer, beside litert-lm", ["oneshot.py"], []),)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", action="store_true")
    peers = parser.parse_args().peers
    # The launcher's environment is what install_size.py looks at.
    subprocess.run([ROOT / "litert-lm-cli", "--version"], cwd=ROOT, check=True)
    sections = [header()]
    failed = False
    for title, command, more in BENCHES + (PEER_BENCHES if peers else ()):
        arguments = command + (more if peers else [])
        print(f"bench/{' '.join(arguments)}", file=sys.stderr, flush=True)
        done = subprocess.run(
            [sys.executable, str(ROOT / "bench" / arguments[0]), *arguments[1:]],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        failed |= done.returncode != 0
        sections.append(
            f"## {title}\n\n`python bench/{' '.join(arguments)}`"
            f"{'' if done.returncode == 0 else ' **failed**'}\n\n{done.stdout.strip()}"
        )
        RESULTS.write_text("\n\n".join(sections) + "\n")
    print(RESULTS.read_text())
    return int(failed)


def header() -> str:
    """When and where this was measured."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    cores = os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        "# Results\n\n"
        f"`make bench` on {now}: {platform.system()} {platform.machine()}, {cores} cores, "
        f"{memory:.0f} GiB, Python {platform.python_version()}."
    )


if __name__ == "__main__":
    sys.exit(main())
