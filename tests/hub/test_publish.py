"""`publish` against a server with the Hub's protocol of uploads and commits."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import yaml

from chat.terminal import Terminal
from hub.conftest import NO_PROXIES, World
from hub.server import HubServer
from hub.uploads import file_hashes
from program import run_program
from stopping import wait_until
from tiny import MODELS, write_checkpoint

TOKEN = "hf_me"
BASE = "maker/tiny-base"
TO = "someone/tiny"
LICENCE_TEXT = "Terms of the tiny model.\n"


def publish_base(hub: HubServer) -> None:
    """A gated repository with a checkpoint and a licence."""
    folder = write_checkpoint(MODELS["llama-gqa-tied"], hub.folder / BASE)
    (folder / "LICENSE.txt").write_text(LICENCE_TEXT)
    hub.configure(BASE, gated="manual", license="other", license_name="tiny-terms")
    hub.allow(TOKEN, BASE)


@pytest.fixture(scope="module")
def converted_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the bundle of BASE, which has been verified."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("hub")
    with HubServer(folder) as hub:
        publish_base(hub)
        variables = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, **NO_PROXIES}
        for arguments in (["pull", BASE], ["verify", BASE]):
            done = run_program(*arguments, home=home, **variables)
            assert done.code == 0, done.err
    return home / "models"


@pytest.fixture
def ready(world: World, converted_models: Path) -> World:
    """A user with a model to publish, and a token."""
    shutil.copytree(converted_models, world.models, copy_function=os.link)
    publish_base(world.hub)
    world.environment["HF_TOKEN"] = TOKEN
    return world


@pytest.fixture
def remote(ready: World) -> Path:
    """Where the server has the published repository."""
    return ready.hub.folder / TO


def asked(world: World) -> list[str]:
    """The requests so far, which are forgotten."""
    found = [f"{r.where} {r.method} {r.path}" for r in world.hub.requests]
    world.hub.requests.clear()
    return found


def test_dry_run_prints_the_card_and_uses_no_network(ready):
    done = ready.run("publish", BASE, "--to", TO, "--dry-run")
    assert done.code == 0, done.err
    assert asked(ready) == []
    front, _, text = done.out.removeprefix("---\n").partition("\n---\n")
    fields = yaml.safe_load(front)
    assert fields["license"] == "other"
    assert fields["license_name"] == "tiny-terms"
    assert fields["license_link"] == "LICENSE.txt"
    assert fields["base_model"] == BASE
    assert fields["base_model_relation"] == "quantized"
    assert {"litert-lm-cli", "dynamic_int8"} <= set(fields["tags"])
    (bundle,) = ready.bundles(BASE)
    record = json.loads(bundle.with_suffix(".json").read_text())
    assert record["licence"] == "tiny-terms"
    assert record["gated"] is True
    for words in (f"litert-lm-cli run {TO}", record["sha256"], record["commit"], "KL divergence"):
        assert words in text
    assert "| structure | passed: " in text
    assert str(ready.home) not in done.out
    assert f"LICENSE.txt  {len(LICENCE_TEXT)} B" in done.err
    assert "Asking the model" not in done.err, "the stored report was not used"

    done = ready.run("publish", BASE, "--to", TO, "--dry-run", "--json")
    shown = json.loads(done.out)
    assert [file["path"] for file in shown["files"]] == ["README.md", "LICENSE.txt", bundle.name]
    assert shown["files"][2]["size_bytes"] == bundle.stat().st_size
    assert (shown["gated"], shown["licence"], shown["dry_run"]) == (True, "tiny-terms", True)


def test_published_privately_then_for_all(ready, remote):
    done = ready.run("publish", BASE, "--to", TO, "--yes", "--json", "--progress", "json")
    assert done.code == 0, done.err
    events = [json.loads(line) for line in done.err.splitlines()]
    (sent,) = [e for e in events if e["event"] == "finished"]
    assert sent["label"] == f"Uploading to {TO}"
    assert sent["done_bytes"] == sent["total_bytes"] == ready.bundles(BASE)[0].stat().st_size
    assert json.loads(done.out)["commit"] == ready.hub.commit(TO)
    assert "Account: someone (token from the variable HF_TOKEN)" in done.err
    assert "TOKEN" not in done.err.replace("HF_TOKEN", "")
    assert TOKEN not in done.err
    assert "it/s" not in done.err, "a bar of the library"
    (bundle,) = ready.bundles(BASE)
    assert file_hashes(remote / bundle.name) == file_hashes(bundle)
    assert (remote / "LICENSE.txt").read_text() == LICENCE_TEXT
    assert ready.hub.settings()["repos"][TO]["private"] is True
    assert {r.token for r in ready.hub.of("cdn", "PUT")} == {None}
    assert not [request for request in asked(ready) if "agent" in request]

    gated = ready.run("publish", BASE, "--to", TO, "--yes", "--public")
    assert gated.code == 2
    assert "--i-accept tiny-terms" in gated.err
    other = ready.run("publish", BASE, "--to", TO, "--yes", "--public", "--i-accept", "mit")
    assert other.code == 2
    assert f"The licence of {BASE} is tiny-terms, not mit." in other.err
    assert ready.hub.settings()["repos"][TO]["private"] is True
    asked(ready)

    accepted = ("--yes", "--public", "--i-accept", "Tiny-Terms")
    done = ready.run("publish", BASE, "--to", TO, *accepted)
    assert done.code == 0, done.err
    assert ready.hub.settings()["repos"][TO]["private"] is False
    assert not [request for request in asked(ready) if request.startswith("cdn PUT")], "sent again"

    done = ready.run("publish", BASE, "--to", TO, "--yes")
    assert done.code == 2
    assert f"{TO} is public." in done.err


def test_who_may_publish_where(ready):
    hub = ready.hub
    hub.allow("hf_reader")
    settings = hub.settings()
    settings["accounts"] = {"hf_reader": {"role": "read"}, TOKEN: {"orgs": ["team"]}}
    (hub.folder / "settings.json").write_text(json.dumps(settings))
    yes = ("publish", BASE, "--yes", "--to")
    for arguments, token, code, message in [
        ((*yes, TO), "", 4, "Publishing needs a Hugging Face token."),
        ((*yes, TO), "hf_wrong", 4, "The Hugging Face token is not valid."),
        ((*yes, TO, "--token", "secretword"), TOKEN, 4, "It comes from --token"),
        ((*yes, TO), "hf_reader", 4, "The token of someone may only read."),
        ((*yes, "others/tiny"), TOKEN, 4, "can write to: someone, team."),
        ((*yes, "tiny"), TOKEN, 2, "--to takes ORG/NAME"),
        (("publish", BASE, "--to", TO), TOKEN, 2, "Publishing must be confirmed."),
        (("publish", "no/model", "--yes", "--to", TO), TOKEN, 3, "no/model is not on disk."),
    ]:
        done = ready.run(*arguments, HF_TOKEN=token)
        assert (done.code, message in done.err) == (code, True), done.err
        assert "secretword" not in done.err
    assert not [r for r in hub.requests if r.method in {"POST", "PUT"}]

    ready.add("team/theirs", {"README.md": "---\nlicense: mit\n---\nOther work.\n"}, private=True)
    hub.allow(TOKEN, BASE, "team/theirs")
    done = ready.run(*yes, "team/theirs")
    assert done.code == 2
    assert "team/theirs exists, and was not published by this program." in done.err
    done = ready.run(*yes, "team/tiny")
    assert done.code == 0, done.err
    # The Hub decides in the end.
    settings = hub.settings()
    settings["uploads"] = {"team/tiny": {"commit": 403}}
    (hub.folder / "settings.json").write_text(json.dumps(settings))
    (hub.folder / "team/tiny/LICENSE.txt").write_text("older")
    done = ready.run(*yes, "team/tiny")
    assert done.code == 4
    assert "needs write permission for team" in done.err
    assert ready.run(*yes, TO, HF_HUB_OFFLINE="1").code == 5


def test_faults_of_an_upload(ready, remote):
    hub = ready.hub
    settings = hub.settings()
    settings["uploads"] = {"*": {"part_bytes": 20_000, "fail": [503], "cut": [None, 5_000]}}
    (hub.folder / "settings.json").write_text(json.dumps(settings))
    done = ready.run("publish", BASE, "--to", TO, "--yes")
    assert done.code == 0, done.err
    assert done.err.count("The upload was interrupted. Retrying in") == 2
    (bundle,) = ready.bundles(BASE)
    assert file_hashes(remote / bundle.name) == file_hashes(bundle)


def test_interrupted_upload_leaves_nothing_public(ready, remote):
    hub = ready.hub
    settings = hub.settings()
    settings["uploads"] = {"*": {"fail": [503] * 5}}
    (hub.folder / "settings.json").write_text(json.dumps(settings))
    arguments = ("publish", BASE, "--to", TO, "--yes", "--public", "--i-accept", "tiny-terms")
    process = ready.start(*arguments)
    wait_until(lambda: hub.of("cdn", "PUT"), process, "an upload was tried")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert list(remote.iterdir()) == []
    assert hub.settings()["repos"][TO]["private"] is True

    # The objects come, the commit does not.
    settings = hub.settings()
    settings["uploads"] = {"*": {"commit": 500}}
    (hub.folder / "settings.json").write_text(json.dumps(settings))
    done = ready.run(*arguments)
    assert done.code == 5, done.err
    assert "what was uploaded completely is not sent again" in done.err
    assert hub.settings()["repos"][TO]["private"] is True
    settings["uploads"] = {}
    (hub.folder / "settings.json").write_text(json.dumps(settings))
    hub.requests.clear()
    assert ready.run(*arguments).code == 0
    assert hub.of("cdn", "PUT") == []
    assert hub.settings()["repos"][TO]["private"] is False


def test_the_user_is_asked(ready, remote):
    variables = {"HF_ENDPOINT": ready.hub.url, "HF_TOKEN": TOKEN, **NO_PROXIES}
    for answer, code in (("n", 2), ("y", 0)):
        terminal = Terminal("publish", BASE, "--to", TO, home=ready.home, **variables)
        try:
            terminal.wait_for(f"Publish to {TO} as someone? [y/N]")
            assert not remote.exists()
            terminal.send(f"{answer}\r")
            assert terminal.wait_for_end() == code
        finally:
            terminal.close()
    assert (remote / "README.md").exists()


def test_published_demo_answers_under_its_new_name(world, demo_models):
    shutil.copytree(demo_models, world.models, copy_function=os.link)
    world.hub.allow(TOKEN)
    # The card has what is recorded; a comparison of this model's logits takes ten seconds.
    assert world.run("verify", "demo", "--only", "prompts").code == 0
    done = world.run("publish", "demo", "--to", "someone/smol", "--yes", HF_TOKEN=TOKEN)
    assert done.code == 0, done.err
    card = (world.hub.folder / "someone/smol/README.md").read_text()
    assert 'license: "apache-2.0"' in card
    assert 'base_model: "HuggingFaceTB/SmolLM2-135M-Instruct"' in card
    assert "| prompts | passed: " in card
    question = "What is the capital of France?"
    answered = world.run("run", "someone/smol", "--prompt", question, HF_TOKEN=TOKEN)
    assert answered.code == 0, answered.err
    assert answered.out == "The capital of France is Paris.\n"
    assert "licence apache-2.0" in answered.err
