"""Time of `--help`, `list` and completions as complete processes.

    python bench/startup.py

Prints two tables with the best of many runs: compared with `python -c "import click"` (the limit is
a ratio of 3), and of shell completion compared with `python -c pass` (the limit is 60 ms more).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

LIMIT = 3.0
COMPLETION_LIMIT_MS = 60.0
RUNS = 20


def best_ms(arguments: list[str], **environment: str) -> float:
    """The shortest of `RUNS` runs, in milliseconds."""
    variables = {**os.environ, **environment}
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run(arguments, check=True, capture_output=True, env=variables)
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
        slowest = completions(models)
    return int(worst > LIMIT or slowest > COMPLETION_LIMIT_MS)


def completions(models: str) -> float:
    """Print the table of completions; returns the most milliseconds beside Python's own."""
    floor = best_ms([sys.executable, "-c", "pass"])
    print("\n| completion | ms | times `python -c pass` | ms more |\n|---|---|---|---|")
    print(f"| `python -c pass` | {floor:.0f} | 1.0 | 0 |")
    slowest = 0.0
    for words in ("litert-lm-cli ", "litert-lm-cli rm ", "litert-lm-cli run --t"):
        taken = best_ms(
            [sys.executable, "-m", "litertlm"],
            _LITERT_LM_CLI_COMPLETE="bash_complete",
            LITERT_LM_MODELS=models,
            COMP_WORDS=words,
            COMP_CWORD=str(words.count(" ")),
        )
        slowest = max(slowest, taken - floor)
        ratio, more = taken / floor, taken - floor
        print(f"| `{words}` and Tab | {taken:.0f} | {ratio:.1f} | {more:.0f} |")
    return slowest


if __name__ == "__main__":
    sys.exit(main())
