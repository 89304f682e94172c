"""Progress of downloads: as events, in a terminal, and of another process."""

from __future__ import annotations

import json
import re
import signal
from typing import Any

from chat.terminal import Terminal
from hub.conftest import NO_PROXIES, bundle_bytes
from stopping import wait_until
from tiny import MODELS, write_checkpoint

SIZE = 2_000_000
TINY = "maker/tiny"


def events_of(err: str) -> list[dict[str, Any]]:
    """All lines of stderr, each of which must be an event."""
    return [json.loads(line) for line in err.splitlines()]


def test_events_of_a_pull(world):
    flaky = {"status": 429, "times": 1, "where": "cdn", "retry_after": 1}
    world.add("o/x", {"x.litertlm": bundle_bytes(SIZE)}, slow=1_000_000, flaky=flaky)
    write_checkpoint(MODELS["llama-gqa-tied"], world.hub.folder / TINY)
    done = world.run("pull", "o/x", TINY, "o/none", "--progress", "json")
    assert done.code == 3
    assert done.out == ""
    events = events_of(done.err)
    by_model = {m: [e for e in events if e.get("model") == m] for m in ("o/x", TINY, "o/none")}
    assert events[-2]["event"] == "error"
    assert events[-2]["error"]["exit_code"] == 3
    assert (events[-1]["event"], events[-1]["exit_code"]) == ("end", 3)

    waits = [e for e in by_model["o/x"] if e["event"] == "waiting"]
    assert [(e["wait_s"], e["requested"]) for e in waits] == [(1.0, True)]
    assert "429" in waits[0]["reason"]
    names = [e["event"] for e in by_model["o/x"]]
    assert names.index("waiting") < names.index("continued") < names.index("finished")
    done_bytes = [e["done_bytes"] for e in by_model["o/x"] if "done_bytes" in e]
    assert done_bytes == sorted(done_bytes)
    assert (done_bytes[0], done_bytes[-1]) == (0, SIZE)
    assert any(e.get("bytes_per_second") for e in by_model["o/x"])
    assert by_model["o/x"][-1]["event"] == "ready"
    assert by_model["o/x"][-1]["path"] == str(world.bundles("o/x")[0])

    labels = {e["label"] for e in by_model[TINY] if e["event"] == "finished"}
    assert labels == {f"[2/3] Downloading {TINY}", "[2/3] Converting"}
    assert by_model[TINY][-1]["event"] == "ready"
    assert not [e for e in by_model["o/none"] if e["event"] == "ready"]

    done = world.run("convert", TINY, "--force", "--progress=json", "--json")
    assert done.code == 0
    assert json.loads(done.out)["model"] == TINY
    assert events_of(done.err)[-1]["event"] == "end"


def test_the_progress_of_another_process_is_shown(world):
    world.add("o/x", {"x.litertlm": bundle_bytes(SIZE)}, hold=1_000_000)
    first = world.start("pull", "o/x")
    wait_until(lambda: world.part_has("o/x", 1), first, "a part was on disk")
    log = world.home / "second.log"
    with log.open("w") as file:
        second = world.start("pull", "o/x", "--progress", "json", stderr=file)
    some = re.compile(r'"done_bytes": ?[1-9]')
    wait_until(lambda: some.search(log.read_text()), second, "it showed the other's progress")
    world.hub.configure("o/x")
    assert first.wait() == 0
    second.communicate()
    assert second.returncode == 0
    events = events_of(log.read_text())
    # The other process may not have reported its first bytes yet when this one began.
    shown = [e for e in events if e["event"] == "progress" and e["done_bytes"]]
    assert shown[0]["label"] == f"Process {first.pid}: Downloading o/x"
    assert shown[0]["total_bytes"] == SIZE
    assert 0 < shown[0]["done_bytes"] < SIZE
    assert {e["label"] for e in events if "label" in e} == {shown[0]["label"]}, "downloaded itself"
    assert events[-2]["event"] == "ready"
    assert world.hub.bytes_sent == SIZE
    assert not list((world.models / ".locks").glob("*.progress"))


def test_run_joins_a_pull_and_takes_over_when_it_is_killed(world):
    weights = write_checkpoint(MODELS["llama-gqa-tied"], world.hub.folder / TINY)
    size = (weights / "model.safetensors").stat().st_size
    world.hub.configure(TINY, hold=size // 2)
    first = world.start("pull", TINY)
    wait_until(lambda: world.part_has(TINY, 10_000, "model.safetensors"), first, "weights came")
    log = world.home / "run.log"
    with log.open("w") as file:
        second = world.start("run", TINY, "--prompt", "hi", "--max-tokens", "3", stderr=file)
    waiting = f"Waiting for another process that is working on {TINY}..."
    wait_until(lambda: waiting in log.read_text(), second, "it waited")
    sent = world.hub.bytes_sent
    first.kill()
    assert first.wait() == -signal.SIGKILL
    world.hub.configure(TINY)
    second.communicate()
    assert second.returncode == 0, log.read_text()
    assert "✓ Model successfully converted!" in log.read_text()
    assert any(r.range for r in world.hub.of("cdn")), "began again"
    files = sum(path.stat().st_size for path in weights.iterdir())
    # The metadata is read before, and what was on its way to the killed process came again.
    assert world.hub.bytes_sent < files + sent


def test_a_terminal_shows_what_it_waits_for(world):
    flaky = {"status": 503, "times": 1, "where": "cdn", "retry_after": 3}
    world.add("o/long-name-of-a-model", {"x.litertlm": bundle_bytes(SIZE)}, flaky=flaky)
    variables = {"HF_ENDPOINT": world.hub.url, **NO_PROXIES}
    arguments = ("pull", "o/long-name-of-a-model")
    terminal = Terminal(*arguments, home=world.home, columns=50, **variables)
    try:
        screen = terminal.wait_for("the server asked for it")
        lines = [line for line in screen.splitlines() if line]
        assert lines[-1].startswith("waiting 0:03, the server asked for it: ")
        assert lines[-2].startswith("Downloading o/long-name-of-a-model")
        terminal.wait_for("waiting 0:01")
        assert terminal.wait_for_end() == 0
        assert "waiting" not in terminal.text
        assert "Downloading o/" not in terminal.text
        assert "✓ Model downloaded successfully" in terminal.text
    finally:
        terminal.close()
