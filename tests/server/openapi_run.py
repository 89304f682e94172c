"""schemathesis on the OpenAPI description and the real server with the demo model.

python -m server.openapi_run --examples 50 --seed 1
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hub.conftest import NO_PROXIES
from hub.server import HubServer
from program import isolated_environment, run_program
from server.conftest import running

CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance"),
    *("unsupported_method", "allow_header_conformance", "negative_data_rejection"),
)


def run(home: Path, *, examples: int, seed: int, phases: str) -> tuple[int, str]:
    """Exit code and output of schemathesis.

    Args:
        home: has the demo model, and loses none.
        examples: requests for each operation and kind of data.
    """
    hub_folder = home / "hub"
    hub_folder.mkdir(exist_ok=True)
    with (
        HubServer(hub_folder) as hub,
        running(home, "demo", HF_ENDPOINT=hub.url, **NO_PROXIES) as url,
    ):
        here = Path(__file__).parents[1]
        more = {"SCHEMATHESIS_HOOKS": "server.schemathesis_hooks", **NO_PROXIES}
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
                *("--checks", ",".join(CHECKS), "--phases", phases, "--seed", str(seed)),
                *("--max-examples", str(examples), "--continue-on-failure", "--no-shrink"),
                *("--generation-database", "none", "--request-timeout", "120", "--no-color"),
                *("--suppress-health-check", "all", "--warnings", "off"),
            ],
            env={**isolated_environment(home, **more), "PYTHONPATH": str(here)},
            cwd=home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    return ended.returncode, ended.stdout


def main() -> int:
    """Run it with a home of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(os.path.realpath(folder))
        pulled = run_program("pull", "demo", home=home)
        assert pulled.code == 0, pulled.err
        code, out = run(
            home, examples=given.examples, seed=given.seed, phases="examples,coverage,fuzzing"
        )
    print(out)
    return code


if __name__ == "__main__":
    sys.exit(main())
