"""The real server keeps what its OpenAPI description promises; `make fuzz-api` asks it more."""

from __future__ import annotations

from pathlib import Path

from server.openapi_run import run


def test_a_few_requests_of_every_kind(demo_home: Path) -> None:
    code, out = run(demo_home, examples=2, seed=0, phases="fuzzing")
    assert code == 0, out
    assert "Tested: 19" in out
