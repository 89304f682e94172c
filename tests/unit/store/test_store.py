"""The models folder: names, atomic writes, locks, lookup and removal."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

import litertlm
from litertlm.errors import DamagedBundle, UsageError
from litertlm.store import (
    ModelName,
    Provenance,
    Store,
    check_integrity,
    parse_name,
    safe_part,
    stage_provenance,
    write_provenance,
)
from litertlm.store.files import atomic_write, atomic_write_bytes, is_temporary, size_of
from litertlm.store.provenance import read_provenance
from recorder import Recorder

NAME = ModelName("org", "name")
PROVENANCE = Provenance(
    model="org/name", source="hub", origin="org/name", sha256="", size_bytes=8, created=""
)


def put(store: Store, name: ModelName, *, provenance: Provenance | None = None) -> Path:
    bundle = store.bundle_path(name)
    bundle.parent.mkdir(parents=True)
    bundle.write_bytes(b"LITERTLM")
    if provenance:
        write_provenance(bundle, provenance)
    return bundle


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "a/b/c",
        "../x",
        "a/..",
        "/a",
        "a/",
        "a/b\n",
        "a/b c",
        "a/.b",
        "-a/b",
        "a/b..c",
        "a/b.",
        "a/é",
        "a/" + "b" * 97,
    ],
)
def test_names_that_could_lead_astray_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Not a model name"):
        parse_name(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("Qwen3-0.6B", "Qwen3-0.6B"),
        ("my model (1)", "my-model-1"),
        ("...", "model"),
        ("é", "model"),
    ],
)
def test_folder_names_become_valid_names(text: str, part: str) -> None:
    assert safe_part(text) == part
    assert parse_name(f"local/{part}") == ModelName("local", part)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "file"
    with atomic_write(target) as temporary:
        temporary.write_bytes(b"first")
        assert not target.exists()
        assert is_temporary(temporary)
    assert target.read_bytes() == b"first"

    def interrupted() -> None:
        with atomic_write(target) as temporary:
            temporary.write_bytes(b"sec")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_bytes() == b"first"
    assert list(target.parent.iterdir()) == [target]
    atomic_write_bytes(target, b"third")
    assert target.read_bytes() == b"third"


def test_find(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.find(NAME) is None
    assert store.installed() == []
    bundle = put(store, NAME, provenance=PROVENANCE)
    found = store.find(NAME)
    assert found is not None
    assert (found.name, found.bundle, found.provenance) == ("org/name", bundle, PROVENANCE)
    assert found.cache_dir == bundle.parent / "cache"
    assert store.installed() == [found]


def test_a_bundle_under_its_own_name_is_found_and_an_unfinished_one_is_not(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = store.folder(NAME)
    folder.mkdir(parents=True)
    (folder / ".name.litertlm").write_bytes(b"LITERTLM")
    (folder / ".name.litertlm.1.tmp").write_bytes(b"LITERTLM")
    assert store.find(NAME) is None
    (folder / "gemma3-270m-it-q8.litertlm").write_bytes(b"LITERTLM")
    found = store.find(NAME)
    assert found is not None
    assert found.bundle.name == "gemma3-270m-it-q8.litertlm"
    assert found.provenance is None


def test_match_ignores_letter_case_and_refuses_to_guess(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, ModelName("Qwen", "Qwen3-4B"))
    put(store, ModelName("a", "same"))
    put(store, ModelName("b", "same"))
    assert store.match("qwen/qwen3-4b") == ModelName("Qwen", "Qwen3-4B")
    assert store.match("qwen3-4b") == ModelName("Qwen", "Qwen3-4B")
    assert store.match("same") is None
    assert store.match("b/same") == ModelName("b", "same")


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", '{"model": 1}'])
def test_a_bundle_with_odd_provenance_still_works(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert read_provenance(path) is None
    path.write_text(text)
    assert read_provenance(path) is None


def test_provenance_of_a_newer_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_provenance(tmp_path / "x.litertlm", PROVENANCE)
    path.write_text(path.read_text().replace("{", '{"from_the_future": 1,', 1))
    assert read_provenance(path) == PROVENANCE


def test_a_kill_after_the_rename_leaves_the_record_of_the_new_bundle(tmp_path: Path) -> None:
    store = Store(tmp_path)
    bundle = put(store, NAME, provenance=replace(PROVENANCE, sha256="old"))
    temp_path = bundle.with_name("temp_path")
    temp_path.write_bytes(b"LITERTLM")
    stage_provenance(bundle, temp_path, replace(PROVENANCE, sha256="new"))
    temp_path.rename(bundle)
    for _ in range(2):
        found = store.find(NAME)
        assert found is not None
        assert found.provenance is not None
        assert found.provenance.sha256 == "new"
        with store.lock(NAME, Recorder()):  # the next run that changes something
            pass
    assert sorted(p.name for p in bundle.parent.iterdir()) == ["name.json", "name.litertlm"]


def test_a_kill_before_the_rename_leaves_the_record_of_the_old_bundle(tmp_path: Path) -> None:
    store = Store(tmp_path)
    bundle = put(store, NAME, provenance=replace(PROVENANCE, sha256="old"))
    temp_path = bundle.with_name(".name.litertlm.1.tmp")
    temp_path.write_bytes(b"LITERTLM")
    os.utime(temp_path, ns=(1, 1))
    stage_provenance(bundle, temp_path, replace(PROVENANCE, sha256="new"))
    with store.lock(NAME, Recorder()):
        pass
    found = store.find(NAME)
    assert found is not None
    assert found.provenance is not None
    assert found.provenance.sha256 == "old"
    assert sorted(p.name for p in bundle.parent.iterdir()) == ["name.json", "name.litertlm"]


@pytest.mark.parametrize("data", [b"LITERTL", b"LITERTLMx", b"TFLITE  "])
def test_a_bundle_that_is_not_whole_is_noticed(data: bytes, tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, NAME, provenance=PROVENANCE).write_bytes(data)
    found = store.find(NAME)
    assert found is not None
    with pytest.raises(DamagedBundle, match="Damaged bundle"):
        check_integrity(found)


def test_sizes_count_checkpoint_and_cache(tmp_path: Path) -> None:
    store = Store(tmp_path)
    bundle = put(store, NAME)
    atomic_write_bytes(bundle.parent / "cache" / "a", b"12")
    atomic_write_bytes(bundle.parent / "checkpoint" / "deep" / "b", b"123")
    found = store.find(NAME)
    assert found is not None
    sizes = store.sizes(found)
    assert (sizes.bundle, sizes.cache, sizes.checkpoint, sizes.total) == (8, 2, 3, 13)
    assert size_of(tmp_path / "nothing") == 0


def test_the_lock_cleans_up_and_leaves_no_empty_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    leftover = store.checkpoint_dir(NAME) / ".model.gguf.77.tmp"
    atomic_write_bytes(leftover, b"x")
    (store.folder(NAME) / ".wheel.77.tmp").mkdir()
    with store.lock(NAME, Recorder()):
        assert not leftover.exists()
        assert list(store.folder(NAME).iterdir()) == [store.checkpoint_dir(NAME)]
        store.checkpoint_dir(NAME).rmdir()
    assert not (tmp_path / "org").exists()


def test_a_second_user_waits_and_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    recorder = Recorder()
    order = []

    def second() -> None:
        with store.lock(NAME, recorder):
            order.append("second")

    with store.lock(NAME, Recorder()):
        thread = threading.Thread(target=second)
        thread.start()
        while not recorder.lines:
            thread.join(0.01)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert recorder.lines == ["Waiting for another process that is working on org/name..."]


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from litertlm.store import *;"
        "from recorder import Recorder\n"
        "with Store(Path(sys.argv[1])).lock(ModelName('org', 'name'), Recorder()): os._exit(9)"
    )
    places = [Path(litertlm.__file__).parents[1], Path(__file__).parents[2]]
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={"PYTHONPATH": ":".join(map(str, places))},
        check=False,
    )
    assert done.returncode == 9
    recorder = Recorder()
    with Store(tmp_path).lock(NAME, recorder):
        assert recorder.lines == []


def test_remove_takes_the_whole_model(tmp_path: Path) -> None:
    store = Store(tmp_path)
    bundle = put(store, NAME, provenance=PROVENANCE)
    atomic_write_bytes(bundle.parent / "checkpoint" / "a", b"1234")
    size = size_of(store.folder(NAME))
    assert size > 12
    assert store.remove(NAME, Recorder()) == size
    assert not (tmp_path / "org").exists()


def test_folders_that_another_process_removes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    put(store, NAME)
    # Each folder that is looked for was there a moment ago.
    monkeypatch.setattr(Path, "is_dir", lambda path: True)
    assert store.find(ModelName("org", "gone")) is None
    assert [x.path.name for x in store.leftovers()] == [".download", ".download"]
    assert [x.size_bytes for x in store.leftovers()] == [0, 0]
    assert size_of(tmp_path / "gone") == 0


def test_a_removal_takes_the_bundle_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    store = Store(tmp_path)
    bundle = put(store, NAME, provenance=PROVENANCE)

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        store.remove(NAME, Recorder())
    assert not bundle.exists()
    assert bundle.with_suffix(".json").exists()
