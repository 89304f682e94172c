"""Repositories that mean harm: nothing is written elsewhere, nothing runs, and it is said why."""

from __future__ import annotations

import json

import pytest

from hub.conftest import World, bundle_bytes
from hub.server import file_hashes
from hub.test_downloads import publish_tiny

pytestmark = pytest.mark.timeout(120)


def assert_refused(world: World, model: str, *words: str, code: int = 7) -> None:
    before = [f for f in world.everything() if ".locks" not in f]
    done = world.run("pull", model)
    assert done.code == code, done.err
    for word in words:
        assert word in done.err
    assert done.err.isprintable() or all(c.isprintable() or c == "\n" for c in done.err)
    after = [f for f in world.everything() if ".locks" not in f]
    assert [f for f in after if not f.startswith(f"models/{model}/")] == before
    assert world.bundles(model) == []


NAMES = {
    "../../../../evil.litertlm": "a path outside of the repository",
    "/tmp/evil.litertlm": "an absolute path",
    "evil\x1b[2J\x07.litertlm": "a control character",
}


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_file_names(world, name):
    world.add("o/x", {"x.litertlm": bundle_bytes(900)}, names={"x.litertlm": name})
    assert_refused(world, "o/x", "Refused o/x", NAMES[name])


def test_file_names_that_differ_only_in_case(world):
    world.add("o/x", {"x.litertlm": bundle_bytes(900), "X.litertlm": bundle_bytes(800)})
    assert_refused(world, "o/x", "differ only in letter case", "X.litertlm, x.litertlm")


def test_link_in_a_repository(world):
    """The Hub delivers a symbolic link of git as a file that holds the link's target."""
    publish_tiny(world, "o/x")
    world.add("o/x", {"config.json": "../../../../../etc/passwd"})
    assert_refused(world, "o/x", "config.json of o/x is not valid JSON", code=8)


def test_link_that_someone_put_into_the_models_folder(world):
    """Parts are not written through links."""
    world.add("o/x", {"x.litertlm": bundle_bytes(900)})
    victim = world.home / "victim"
    victim.write_text("precious")
    parts = world.folder("o/x") / ".download"
    parts.mkdir(parents=True)
    sha256, _ = file_hashes(world.hub.folder / "o/x/x.litertlm")
    (parts / f"{sha256[:40]}-900-x.litertlm.part").symlink_to(victim)
    (world.folder("o/x") / "x.litertlm").symlink_to(world.hub.folder / "o/x" / "x.litertlm")
    assert world.run("pull", "o/x", "--reconvert").code == 0
    (bundle,) = world.bundles("o/x")
    assert not bundle.is_symlink()
    assert world.is_published(bundle, "o/x")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("known", [False, True])
def test_remote_code_is_not_used(world, known):
    """Phi 3 brings code that nobody needs; a model of an unknown type cannot do without."""
    folder = publish_tiny(world, "o/x")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_x.Model"}
    if not known:
        config["model_type"] = "x"
    marker = world.home / "executed"
    world.add(
        "o/x",
        {"config.json": json.dumps(config), "modeling_x.py": f"open({str(marker)!r}, 'w')"},
    )
    if known:
        assert world.run("pull", "o/x").code == 0
        assert not list(world.models.rglob("*.py"))
    else:
        assert_refused(world, "o/x", "asks for code from the repository", "modeling_x.Model")
    assert not marker.exists()


@pytest.mark.parametrize("name", ["../../../evil.safetensors", "/etc/passwd", "pytorch_model.bin"])
def test_index_that_names_other_files(world, name):
    publish_tiny(world, "o/x")
    index = {"weight_map": {"model.embed_tokens.weight": name}}
    world.add("o/x", {"model.safetensors.index.json": json.dumps(index)})
    assert_refused(world, "o/x", "lists a file in another folder", name)


def test_index_that_names_a_missing_file(world):
    publish_tiny(world, "o/x")
    index = {"weight_map": {"model.embed_tokens.weight": "none.safetensors"}}
    world.add("o/x", {"model.safetensors.index.json": json.dumps(index)})
    assert_refused(world, "o/x", "is incomplete", "none.safetensors")


@pytest.mark.parametrize("announced", [100, 1_000_000])
def test_sizes_that_lie(world, announced):
    world.add("o/x", {"x.litertlm": bundle_bytes(5000)}, sizes={"x.litertlm": announced})
    words = ["its size is not the listed one", f"lists {announced:,} bytes"]
    assert_refused(world, "o/x", *words, code=5)


def test_file_that_ends_early(world):
    world.add("o/x", {"x.litertlm": bundle_bytes(5000)}, short={"x.litertlm": 1000})
    assert_refused(world, "o/x", "its size is not the listed one", "1,000 were received", code=5)


def test_endless_redirects(world):
    world.add("o/x", {"x.litertlm": bundle_bytes(900)}, loop=["x.litertlm"])
    assert_refused(world, "o/x", "Too many redirects", code=5)


def test_body_that_never_ends(world):
    world.add("o/x", {"x.litertlm": bundle_bytes(900)}, endless=["x.litertlm"])
    assert_refused(world, "o/x", "its size is not the listed one", code=5)
    on_disk = sum(p.stat().st_size for p in world.folder("o/x").rglob("*") if p.is_file())
    assert on_disk <= 900


@pytest.mark.parametrize(
    "answer", ["[]", '{"sha": 5}', '{"sha": "' + "a" * 40 + '", "siblings": [5]}', "[" * 100_000]
)
def test_description_that_makes_no_sense(world, answer):
    world.hub.configure("o/x", answer=answer)
    assert_refused(world, "o/x", "The Hub's metadata of o/x" if answer[1] != "[" else "", code=5)


def test_texts_of_the_hub_do_not_reach_the_terminal_raw(world):
    files = {"x.litertlm": bundle_bytes(900)}
    world.add("o/x", files, license="evil\x1b[2J", gated="manual", gated_message="a\x1b[2Jb")
    assert_refused(world, "o/x", "Cannot access gated model o/x.", code=4)
    world.hub.configure("o/x", license="evil\x1b[2J")
    done = world.run("pull", "o/x", "--verbose")
    assert done.code == 0
    assert "\x1b" not in done.err


def test_description_that_never_ends(world):
    world.add("o/x", {"x.litertlm": bundle_bytes(900)}, endless=["api"])
    assert_refused(world, "o/x", "Refused the metadata of o/x: it is too large", code=5)


@pytest.mark.parametrize("config", ["", "[]", '{"model_type": ["llama"]}', '{"a":' * 5000])
def test_config_that_is_none(world, config):
    publish_tiny(world, "o/x")
    world.add("o/x", {"config.json": config})
    done = world.run("pull", "o/x")
    assert done.code in (7, 8)
    assert "o/x" in done.err
    assert "Traceback" not in done.err
    assert "Internal error" not in done.err


def test_unknown_family_is_refused_before_the_weights(world):
    folder = publish_tiny(world, "o/x")
    config = json.loads((folder / "config.json").read_text())
    world.add("o/x", {"config.json": json.dumps({**config, "model_type": "mamba"})})
    assert_refused(world, "o/x", "Models of type 'mamba' cannot be converted", "llama")
    assert world.hub.of("cdn") == []


def test_config_key_that_cannot_be_done_is_refused_before_the_weights(world):
    folder = publish_tiny(world, "o/x")
    config = json.loads((folder / "config.json").read_text())
    world.add("o/x", {"config.json": json.dumps({**config, "hidden_act": "tanhshrink"})})
    assert_refused(world, "o/x", "hidden_act", "tanhshrink")
    assert world.hub.of("cdn") == []


def test_weights_that_are_quantized_already(world):
    folder = publish_tiny(world, "o/x")
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq"}
    world.add("o/x", {"config.json": json.dumps(config)})
    assert_refused(world, "o/x", "already quantized (gptq)", "config.json of o/x")
    assert world.hub.of("cdn") == []


@pytest.mark.parametrize("options", [[], ["--json"], ["--verbose"]], ids=str)
def test_a_server_that_echoes_the_token(world, options):
    token = "secret-0123456789"
    publish_tiny(world, "o/x")
    world.add("o/x", {}, answer=json.dumps({"sha": f"Bearer {token}", "siblings": []}))
    done = world.run("pull", "o/x", *options, HF_TOKEN=token)
    assert done.code == 5, done.err
    assert token not in done.err + done.out
    assert "Bearer <token>" in done.err
