"""Time of `--help` and `list` as complete processes, compared with `python -c "import click"`.

    python bench/startup.py

Prints one table with the best of many runs. The limit is a ratio of 3.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

LIMIT = 3.0
RUNS = 20


def best_ms(arguments: list[str]) -> float:
    """The shortest of `RUNS` runs, in milliseconds."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run(arguments, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return min(times) * 1000


def main() -> int:
    floor = best_ms([sys.executable, "-c", "import click"])
    print("| command | ms | times `import click` |\n|---|---|---|")
    print(f'| `python -c "import click"` | {floor:.0f} | 1.0 |')
    worst = 0.0
    with tempfile.TemporaryDirectory() as models:
        for arguments in (["--help"], ["list"], ["models"], ["run", "--help"]):
            taken = best_ms([sys.executable, "-m", "litertlm", "--models-dir", models, *arguments])
            worst = max(worst, taken / floor)
            print(f"| `litert-lm-cli {' '.join(arguments)}` | {taken:.0f} | {taken / floor:.1f} |")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
