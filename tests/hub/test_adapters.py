"""LoRA adapters on the Hub: adapter and base are two repositories."""

from __future__ import annotations

import json
from pathlib import Path

from hub.conftest import World
from tiny import MODELS, write_checkpoint
from tiny.adapter import ADAPTERS, write_adapter

ADAPTER, BASE = "someone/tuned", "maker/base"
ATTENTION = ADAPTERS["attention"]


def published(world: World, base: str = BASE, **settings: object) -> Path:
    """Publish the adapter and its base; the adapter's folder."""
    write_checkpoint(MODELS[ATTENTION.base], world.hub.folder / BASE)
    if settings:
        world.hub.configure(BASE, **settings)
    return write_adapter(ATTENTION, world.hub.folder / ADAPTER, base)


def weights_sent(world: World) -> list[str]:
    """The weight files that were asked for, in order and once each."""
    paths = [r.path for r in world.hub.requests if r.method == "GET" and r.where == "resolve"]
    return list(dict.fromkeys(p.split("?")[0] for p in paths if ".safetensors" in p))


def test_adapter_and_its_base_are_fetched_and_recorded(world):
    published(world, license="llama3.2")
    done = world.run("pull", ADAPTER, "--json")
    assert done.code == 0, done.err
    shown = json.loads(done.out)
    assert (shown["origin"], shown["commit"]) == (ADAPTER, world.hub.commit(ADAPTER))
    assert (shown["base"], shown["base_commit"]) == (BASE, world.hub.commit(BASE))
    assert "Model not found locally. Converting from HuggingFace...\n" in done.err
    assert f"It is a LoRA adapter; its base is {BASE}.\n" in done.err
    assert f"Converting {ADAPTER} with its base {BASE}...\n" in done.err
    assert [p.name for p in world.bundles(ADAPTER)] == ["tuned.litertlm"]
    record = json.loads(world.bundles(ADAPTER)[0].with_suffix(".json").read_text())
    assert record["base_licence"] == "llama3.2"
    assert not world.bundles(BASE), "the base itself was not asked for"

    # Both checkpoints are there: nothing is downloaded again, for this adapter or the base.
    world.bundles(ADAPTER)[0].unlink()
    assert world.run("pull", ADAPTER, HF_HUB_OFFLINE="1").code == 0
    assert world.run("pull", BASE, HF_HUB_OFFLINE="1").code == 0


def test_bundle_is_the_one_of_a_local_merge(world):
    adapter = published(world)
    here = json.loads(world.run("pull", ADAPTER, "--json").out)
    base = str(world.hub.folder / BASE)
    there = json.loads(world.run("pull", str(adapter), "--base", base, "--json").out)
    assert here["sha256"] == there["sha256"]


def test_checkpoints_need_not_be_kept(world):
    published(world)
    assert world.run("pull", ADAPTER, "--no-keep-checkpoint").code == 0
    assert not list(world.models.rglob("*.safetensors"))

    assert world.run("pull", BASE).code == 0
    assert world.run("pull", ADAPTER, "--reconvert", "--no-keep-checkpoint").code == 0
    (kept,) = world.models.rglob("*.safetensors")
    assert kept.is_relative_to(world.folder(BASE)), "it was there before"


def test_gated_base_is_refused_before_any_weights(world):
    published(world, gated="manual")
    done = world.run("pull", ADAPTER)
    assert done.code == 4
    assert f"✗ Cannot access gated model {BASE}." in done.err
    assert not weights_sent(world)


def test_base_is_a_path_of_another_machine(world):
    published(world, "/content/drive/model")
    done = world.run("pull", ADAPTER)
    assert done.code == 3
    assert "✗ The adapter's base is not here: /content/drive/model." in done.err
    assert not weights_sent(world)
    assert world.run("pull", ADAPTER, "--base", BASE).code == 0
    assert world.run("rm", BASE).code == 0
    assert not world.folder(BASE).exists()


def test_quantized_base_is_refused_with_what_to_do(world):
    published(world)
    folder = world.hub.folder / BASE
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "hqq"}
    (folder / "config.json").write_text(json.dumps(config))
    done = world.run("pull", ADAPTER)
    assert done.code == 7
    assert "already quantized (hqq)" in done.err
    assert "--base MODEL names the model that the adapter was trained on" in done.err


def test_path_that_exists_here_is_no_base_of_a_strangers_adapter(world):
    folder = write_checkpoint(MODELS[ATTENTION.base], world.cwd / "mine")
    published(world, str(folder))
    assert world.run("pull", ADAPTER).code == 3


def test_ready_bundle_of_the_base_is_passed_over(world):
    published(world)
    world.add(BASE, {"base.litertlm": b"LITERTLM" + bytes(5000)})
    done = world.run("pull", ADAPTER)
    assert done.code == 0, done.err
    assert any(path.endswith("model.safetensors") for path in weights_sent(world))


def test_what_is_no_lora_is_refused_from_its_config(world):
    adapter = published(world)
    config = json.loads((adapter / "adapter_config.json").read_text())
    for changes, told in (
        ({"peft_type": "IA3"}, "Adapters of type IA3 cannot be merged."),
        ({"layer_replication": [[0, 1]]}, "layer_replication is [[0, 1]]"),
    ):
        (adapter / "adapter_config.json").write_text(json.dumps({**config, **changes}))
        done = world.run("pull", ADAPTER)
        assert done.code == 7
        assert told in done.err
    assert not weights_sent(world)


def test_adapter_of_an_adapter_is_refused(world):
    published(world, "other/tuned")
    write_adapter(ATTENTION, world.hub.folder / "other/tuned", BASE)
    done = world.run("pull", ADAPTER)
    assert done.code == 7
    assert "other/tuned is an adapter itself" in done.err


def test_adapters_that_name_each_other_are_refused_without_waiting_for_each_other(world):
    other = "other/tuned"
    published(world, other)
    write_adapter(ATTENTION, world.hub.folder / other, ADAPTER)
    both = [(name, world.start("pull", name)) for name in (ADAPTER, other)]
    for (name, process), base in zip(both, (other, ADAPTER), strict=True):
        _, err = process.communicate()
        assert process.returncode == 7, err
        assert f"✗ {base} is an adapter itself." in err
        assert f"It names {name} as its base." in err
    assert not weights_sent(world)


def test_adapter_that_names_itself_is_refused(world):
    published(world, ADAPTER)
    done = world.run("pull", ADAPTER)
    assert done.code == 7
    assert f"✗ {ADAPTER} names itself as the base" in done.err
    assert "--base MODEL" in done.err


def test_two_adapters_of_one_base_at_once(world):
    published(world)
    write_adapter(ATTENTION, world.hub.folder / "other/tuned", BASE)
    both = [world.start("pull", name) for name in (ADAPTER, "other/tuned")]
    for process in both:
        _, err = process.communicate()
        assert process.returncode == 0, err
    asked = [r.path for r in world.hub.requests if r.method == "GET" and r.where == "resolve"]
    assert len([p for p in asked if BASE in p and ".safetensors" in p]) == 2  # header, rest


def test_checkpoint_of_a_base_is_listed_and_can_be_removed(world):
    published(world)
    assert world.run("pull", ADAPTER).code == 0
    listed = {m["model"]: m for m in json.loads(world.run("list", "--json").out)}
    assert set(listed) == {ADAPTER, BASE}
    assert listed[BASE]["path"] is None
    assert listed[BASE]["total_bytes"] == listed[BASE]["checkpoint_bytes"] > 100_000
    (row,) = [line for line in world.run("list").out.splitlines() if line.startswith(BASE)]
    assert row.split()[1] == "-"
    told = world.run("prune", "--checkpoints", "--dry-run").err
    assert f"{BASE}/checkpoint: checkpoint without a bundle" in told
    assert world.run("prune", "--checkpoints").code == 0
    assert not list(world.models.rglob("*.safetensors"))
    assert [m["model"] for m in json.loads(world.run("list", "--json").out)] == [ADAPTER]


def test_pickled_adapter_is_refused(world):
    adapter = published(world)
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    done = world.run("pull", ADAPTER)
    assert done.code == 7
    assert "adapter_model.bin" in done.err
    assert "never loaded" in done.err


def test_base_option_is_for_adapters(world):
    published(world)
    done = world.run("pull", BASE, "--base", BASE)
    assert done.code == 2
    assert "maker/base is not an adapter" in done.err
    assert not weights_sent(world)
