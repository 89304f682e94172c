"""`doctor` on a good machine and on one with many faults."""

from __future__ import annotations

import json
import re
from pathlib import Path

from hub.conftest import World, bundle_bytes
from litertlm.services.doctor.machine import TESTED_RUNTIME

TOKEN = "hf_goodgoodgood"


def doctor(
    world: World, *options: str, **environment: str
) -> tuple[int, dict[str, dict[str, str]], str]:
    ended = world.run("doctor", "--json", *options, **environment)
    assert ended.err == ""
    data = json.loads(ended.out)
    return ended.code, {f["name"]: f for f in data["findings"]}, data["report"]


def test_a_good_machine(world: World) -> None:
    world.hub.allow(TOKEN)
    code, found, report = doctor(world, HF_TOKEN=TOKEN)
    assert [f for f in found.values() if f["level"] == "problem"] == []
    assert code == 0
    assert found["token"]["text"] == "from the variable HF_TOKEN: accepted"
    assert re.search(r"127\.0\.0\.1 answers in [\d.]+ s, then [\d.]+ s", found["hub"]["text"])
    assert "litert-lm-api" in found["packages"]["text"]
    assert (found["runtime"]["text"], found["runtime"]["level"]) == ("its library loads", "ok")
    assert not world.models.exists(), "nothing is created"
    for secret in (TOKEN, str(world.home), "127.0.0.1"):
        assert secret not in report
    assert report.startswith("```\nok      version: litert-lm-cli ")


def test_faults_and_repairs(world: World) -> None:
    folder = world.models / "secret-org" / "secret-name"
    folder.mkdir(parents=True)
    bundle = folder / "secret-name.litertlm"
    bundle.write_bytes(bundle_bytes(1000))
    unfinished = folder / ".secret-name.litertlm.1.tmp"
    unfinished.write_bytes(b"x" * 500)
    orphan = world.models / "secret-org" / "gone" / "cache"
    orphan.mkdir(parents=True)
    code, found, report = doctor(world, HF_TOKEN="hf_badbadbad")
    assert code == 1
    assert found["token"]["level"] == "problem"
    assert "does not accept it" in found["token"]["text"]
    assert found["bundles"]["level"] == "problem"
    assert "secret-org/secret-name is damaged" in found["bundles"]["text"]
    assert found["files"]["level"] == "warning"
    assert "secret" not in report
    assert unfinished.exists()
    fixed = doctor(world, "--fix", "--quick", HF_HUB_OFFLINE="1")[1]
    assert fixed["files"]["fixed"]
    assert not unfinished.exists()
    assert not orphan.exists()
    assert bundle.exists(), "a damaged bundle is for the user to remove"
    assert fixed["hub"]["text"] == "not asked: HF_HUB_OFFLINE is set"


def test_no_network_and_no_rights(world: World) -> None:
    (world.home / "file").write_text("")
    code, found, _ = doctor(
        world,
        HF_ENDPOINT="http://127.0.0.1:9",
        LITERT_LM_MODELS="/proc/models",
        https_proxy="http://user:secret@proxy.example:3128",
    )
    assert code == 1
    assert "Cannot reach 127.0.0.1" in found["hub"]["text"]
    assert "HTTPS_PROXY" in found["hub"]["fix"]
    assert found["models folder"]["level"] == "problem"
    assert found["proxies"]["text"] == "https: proxy.example"


def test_the_tested_runtime_is_the_pinned_one() -> None:
    constraints = Path(__file__).parents[2] / "constraints.txt"
    assert f"litert-lm-api=={TESTED_RUNTIME}\n" in constraints.read_text()
