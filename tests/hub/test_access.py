"""Tokens: where they are found, who gets them, and what is said when they do not help."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from hub.conftest import World, bundle_bytes

SECRET = "hf_sEcReTsEcReTsEcReTsEcReTsEcReT"
MODEL = "google/gemma-3-270m"
GATED_TEXT = """\
✗ Cannot access gated model google/gemma-3-270m.

This model requires accepting a license agreement.
Please:
  1. Visit: https://huggingface.co/google/gemma-3-270m
  2. Click 'Agree and access repository'
  3. Wait a few minutes for access to be granted
  4. Try the conversion again
"""


@pytest.fixture
def gated(world) -> World:
    """A gated repository, which `SECRET` may see."""
    world.add(MODEL, {"x.litertlm": bundle_bytes(2_000_000)}, gated="manual", license="gemma")
    world.hub.allow(SECRET, MODEL)
    return world


@pytest.mark.parametrize("command", ["pull", "run", "convert"])
def test_licence_not_accepted(gated, command):
    gated.hub.allow("hf_other")
    done = gated.run(command, MODEL, HF_TOKEN="hf_other")
    assert done.code == 4
    assert done.err == GATED_TEXT
    assert gated.hub.bytes_sent == 0


def test_gated_and_no_token(gated):
    done = gated.run("pull", MODEL)
    assert done.code == 4
    assert done.err.startswith(GATED_TEXT)
    assert "No Hugging Face token was found." in done.err
    assert "https://huggingface.co/settings/tokens" in done.err


def test_what_the_hub_says_beyond_the_usual_is_passed_on(gated):
    message = f"Your request to access model {MODEL} is awaiting a review from the repo authors."
    gated.hub.allow("hf_other")
    gated.hub.configure(MODEL, gated="manual", gated_message=message)
    done = gated.run("pull", MODEL, HF_TOKEN="hf_other")
    assert done.code == 4
    assert done.err == f"{GATED_TEXT}\nThe Hub says: {message}\n"


def test_token_that_a_server_repeats_is_not_shown(gated):
    gated.hub.allow(SECRET)
    gated.hub.configure(MODEL, gated="manual", gated_message=f"No access with {SECRET}.")
    done = gated.run("pull", MODEL, "--verbose", HF_TOKEN=SECRET)
    assert done.code == 4
    assert "The Hub says: No access with <token>." in done.err
    assert SECRET not in done.err


def test_gated_checkpoint_is_told_before_anything_large(gated):
    gated.add("google/gemma-3-1b-it", {"config.json": "{}", "model.safetensors": b"0" * 5_000_000})
    gated.hub.configure("google/gemma-3-1b-it", gated="auto")
    done = gated.run("pull", "google/gemma-3-1b-it")
    assert done.code == 4
    assert "Cannot access gated model google/gemma-3-1b-it." in done.err
    assert gated.hub.of("cdn") == []


def test_bad_token_is_not_taken_for_a_missing_licence(gated):
    gated.add("o/open", {"x.litertlm": bundle_bytes(900)})
    for model in (MODEL, "o/open"):
        done = gated.run("pull", model, HF_TOKEN="hf_wrong")
        assert done.code == 4
        assert "The Hugging Face token is not valid." in done.err
        assert "the variable HF_TOKEN" in done.err
        assert "hf_wrong" not in done.err + done.out


def test_no_such_model_with_near_names(gated):
    for token in ("", SECRET):
        done = gated.run("pull", "google/gemma-3-27m", HF_TOKEN=token)
        assert done.code == 3
        assert "No model google/gemma-3-27m on the Hub." in done.err
        assert "google/gemma-3-270m" in done.err


def test_private_model(world):
    world.add("o/secret", {"x.litertlm": bundle_bytes(900)}, private=True)
    world.hub.allow(SECRET, "o/secret")
    world.hub.allow("hf_other")
    stranger = world.run("pull", "o/secret")
    assert stranger.code == 3
    assert "private and no token was found" in stranger.err
    other = world.run("pull", "o/secret", HF_TOKEN="hf_other")
    assert other.code == 3
    assert "private and the token from the variable HF_TOKEN has no access to it" in other.err
    assert world.run("pull", "o/secret", HF_TOKEN=SECRET).code == 0


def test_disabled_repository(world):
    world.add("o/x", {"x.litertlm": bundle_bytes(900)}, disabled=True)
    done = world.run("pull", "o/x")
    assert done.code == 4
    assert "The Hub has disabled o/x." in done.err


def log_in(world: World, token: str) -> None:
    folder = world.home / "huggingface"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token").write_text(token)


def test_order_of_token_sources(gated):
    places = {
        "the variable HF_TOKEN": lambda value: gated.environment.update(HF_TOKEN=value),
        f"the file {gated.cwd / 'HF_TOKEN'}": (gated.cwd / "HF_TOKEN").write_text,
        f"the file {gated.cwd.parent / 'HF_TOKEN'}": (gated.cwd.parent / "HF_TOKEN").write_text,
        "the stored login of huggingface_hub": lambda value: log_in(gated, value),
    }
    for source, write in reversed(places.items()):
        write(f"\ufeff  {SECRET} \r\n\n" if "file" in source else f" {SECRET}\n")
        done = gated.run("pull", MODEL, "--verbose", "--reconvert")
        assert done.code == 0
        assert f"Token: from {source}." in done.err
        assert SECRET not in done.err + done.out
    # What is empty is passed over.
    gated.environment["HF_TOKEN"] = "  "
    (gated.cwd / "HF_TOKEN").write_text("\n \n")
    done = gated.run("pull", MODEL, "--verbose", "--reconvert")
    assert f"Token: from the file {gated.cwd.parent / 'HF_TOKEN'}." in done.err


@pytest.mark.parametrize("content", ["two words", "schlüssel", "a\x07b"])
def test_what_cannot_be_a_token_is_not_sent(gated, content):
    (gated.cwd / "HF_TOKEN").write_text(content)
    done = gated.run("pull", MODEL, "--verbose")
    assert done.code == 4
    assert "is not a Hugging Face token" in done.err
    assert content not in done.err
    assert gated.hub.requests == []


def test_token_goes_to_the_hubs_host_only(gated):
    assert gated.run("pull", MODEL, HF_TOKEN=SECRET).code == 0
    assert {r.token for r in gated.hub.of("api")} == {SECRET}
    assert {r.token for r in gated.hub.of("resolve")} == {SECRET}
    assert {r.token for r in gated.hub.of("cdn")} == {None}


def test_token_is_written_nowhere(gated):
    gated.hub.configure(MODEL, gated="manual", slow=1_500_000)
    process = gated.start("pull", MODEL, "--verbose", HF_TOKEN=SECRET, HF_DEBUG="1")
    lines = []
    while process.poll() is None:
        listing = subprocess.run(
            ["ps", "-ww", "-o", "args=", "-p", str(process.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        lines.append(listing.stdout)
        time.sleep(0.1)
    out, err = process.communicate()
    assert process.returncode == 0
    assert any("pull" in line for line in lines)
    shown = out + err + "".join(lines)
    for arguments in (["show", MODEL, "--json"], ["list", "--json", "--verbose"]):
        done = gated.run(*arguments, HF_TOKEN=SECRET)
        shown += done.out + done.err
    assert SECRET not in shown
    assert not holds(gated.home, SECRET)


def test_token_is_in_no_traceback(gated):
    """Failures at every stage, with --verbose and as JSON."""
    faults = [
        {"gated": "manual", "disabled": True},
        {"gated": "manual", "flaky": {"status": 404, "where": "cdn"}},
        {"gated": "manual", "endless": ["api"]},
        {"gated": "manual", "loop": ["x.litertlm"]},
        {"gated": "manual", "hashes": {"x.litertlm": "0" * 64}},
        {"gated": "manual", "names": {"x.litertlm": "../x.litertlm"}},
    ]
    for settings in faults:
        gated.hub.configure(MODEL, **settings)
        done = gated.run("pull", MODEL, "--verbose", "--json", HF_TOKEN=SECRET)
        assert done.code != 0
        assert "Traceback" in done.err
        assert json.loads(done.err.splitlines()[-1])["error"]["exit_code"] == done.code
        assert SECRET not in done.err + done.out
    assert not holds(gated.home, SECRET)


def holds(folder: Path, text: str) -> bool:
    return any(text.encode() in p.read_bytes() for p in folder.rglob("*") if p.is_file())
