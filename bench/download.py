"""Time from a name to a bundle on a line of limited speed.

    python bench/download.py [SIZE] [--line 80] [--connection 20] [--runs 2]

A local server that speaks the Hub's protocol sends `--connection` MB/s on each connection and
`--line` MB/s in all. Measured in turns, each with an empty models folder:
- `litert-lm-cli pull`, which downloads and converts;
- `huggingface_hub.snapshot_download`, and `litert-lm-cli convert` after it.
The floor is the size of the files divided by the speed of the line.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from checkpoints import write_random_checkpoint
from model_sizes import SIZES

ROOT = Path(__file__).resolve().parents[1]
REPO = "bench/model"
SNAPSHOT = (
    "import sys, huggingface_hub as h; h.snapshot_download(sys.argv[1], local_dir=sys.argv[2])"
)


@contextmanager
def limited_hub(folder: Path, line: float, connection: float) -> Iterator[str]:
    """The URL of a local Hub with the repositories in `folder`; speeds in bytes per second."""
    options = {"slow": connection, "total": line}
    (folder / "settings.json").write_text(json.dumps({"repos": {REPO: options}}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ROOT / "tests" / "hub" / "server.py"
    process = subprocess.Popen(
        [sys.executable, str(server), str(folder), "--port", str(port)],
        stdout=subprocess.DEVNULL,
    )
    try:
        while True:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def timed(commands: list[list[str]], home: Path, hub: str) -> float:
    """Seconds of the commands, one after the other."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub,
        "HF_HOME": str(home / "huggingface"),
        "HF_HUB_DISABLE_XET": "1",  # the server does not speak it
        "LITERT_LM_MODELS": str(home / "models"),
        "PYTHONPATH": str(ROOT / "src"),
        "no_proxy": "*",
    }
    started = time.perf_counter()
    for command in commands:
        subprocess.run(command, env=environment, cwd=home, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("size", nargs="?", default="qwen3-0.6b", choices=SIZES)
    parser.add_argument("--line", type=float, default=80, help="MB/s of all connections")
    parser.add_argument("--connection", type=float, default=20, help="MB/s of one connection")
    parser.add_argument("--runs", type=int, default=2)
    arguments = parser.parse_args()
    program = [sys.executable, "-m", "litertlm"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        repository = folder / "hub" / REPO
        write_random_checkpoint(repository, SIZES[arguments.size])
        nbytes = sum(path.stat().st_size for path in repository.iterdir())
        floor = nbytes / (arguments.line * 1e6)
        home = folder / "home"
        ours, theirs = [], []
        with limited_hub(folder / "hub", arguments.line * 1e6, arguments.connection * 1e6) as hub:
            for _ in range(arguments.runs):
                ours.append(timed([[*program, "pull", "--quiet", REPO]], home, hub))
                copy = str(home / "copy")
                snapshot = [sys.executable, "-c", SNAPSHOT, REPO, copy]
                theirs.append(
                    timed(
                        [snapshot, [*program, "convert", "--quiet", "--no-check", copy]], home, hub
                    )
                )
    print(f"{arguments.size}: {nbytes / 1e6:,.0f} MB, a line of {arguments.line:g} MB/s, ", end="")
    print(f"{arguments.connection:g} MB/s a connection, best of {arguments.runs}\n")
    print("| | s | times the floor |")
    print("|---|---|---|")
    print(f"| bytes / speed of the line | {floor:.1f} | 1.0 |")
    for label, seconds in (
        ("litert-lm-cli pull", min(ours)),
        ("snapshot_download, then litert-lm-cli convert", min(theirs)),
    ):
        print(f"| {label} | {seconds:.1f} | {seconds / floor:.2f} |")


if __name__ == "__main__":
    main()
