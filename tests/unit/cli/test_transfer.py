"""`cp`, `export` and `import` of a tiny converted bundle."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from converted import write_bundle
from litertlm.errors import DamagedBundle, UsageError
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.transfer import copy_model, export_model, import_bundle
from litertlm.settings import Settings
from litertlm.store import Provenance, Store, provenance_path, read_record, write_provenance
from litertlm.store.files import file_sha256
from program import run_program
from recorder import Recorder
from tiny import MODELS, write_checkpoint

NAME = "someone/tiny"


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("tiny")
    write_checkpoint(MODELS["llama-gqa-tied"], folder / "checkpoint")
    return write_bundle(folder / "checkpoint", folder / "b.litertlm", ConvertOptions()).read_bytes()


@pytest.fixture
def bundle(converted: bytes, tmp_path: Path) -> Path:
    """A model on disk that was converted from a local checkpoint."""
    path = tmp_path / "models" / NAME / "tiny.litertlm"
    path.parent.mkdir(parents=True)
    path.write_bytes(converted)
    record = Provenance(
        model=NAME,
        source="local",
        origin=str(tmp_path / "secret folder" / "tiny"),
        sha256=file_sha256(path),
        size_bytes=len(converted),
        created="2026-01-02T03:04:05+00:00",
        recipe="dynamic_int8",
    )
    write_provenance(path, record)
    return path


def test_from_one_computer_to_another(bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "phone.litertlm"
    exported = run_program("export", NAME, file, "--json", home=tmp_path)
    assert exported.code == 0, exported.err
    fields = json.loads(exported.out)
    assert (fields["path"], fields["size_bytes"]) == (str(file), file.stat().st_size)
    content = file.read_bytes()
    assert content.startswith(bundle.read_bytes()), "the bundle itself is unchanged"
    assert b"secret folder" not in content
    assert run_program("export", NAME, file, home=tmp_path).code == 2, "no file is replaced"
    shown = json.loads(run_program("show", file, "--json", home=tmp_path).out)
    assert (shown["origin"], shown["recipe"]) == ("tiny", "dynamic_int8")

    other = tmp_path / "other"
    other.mkdir()
    imported = run_program("import", file, "--json", home=other)
    assert imported.code == 0, imported.err
    made = json.loads(imported.out)
    assert (made["model"], made["recipe"]) == (NAME, "dynamic_int8")
    assert made["created"].startswith("2026-01-02"), "the record is the one that was exported"
    assert Path(made["path"]).read_bytes() == bundle.read_bytes()
    assert run_program("import", file, "mine", home=other).code == 0
    listed = json.loads(run_program("list", "--json", home=other).out)
    assert [model["model"] for model in listed] == ["local/mine", NAME]


def test_a_damaged_file_is_not_imported(bundle: Path, tmp_path: Path) -> None:
    store, settings = Store(tmp_path / "models"), Settings(tmp_path / "models", tmp_path, {})
    file = tmp_path / "file.litertlm"
    export_model(NAME, file, force=False, store=store, settings=settings, progress=Recorder())
    good = file.read_bytes()
    size = bundle.stat().st_size
    flipped = bytearray(good)
    flipped[size - 100] ^= 1
    record = bytearray(good)
    record[-100] ^= 1
    empty = Store(tmp_path / "empty")
    for content, why in (
        (bytes(flipped), "Its SHA-256 differs from the one in its provenance."),
        (bytes(record), "The provenance at its end is cut off or was changed."),
        (good[:-1], "The provenance at its end is cut off or was changed."),
        (good[: size + 7], "7 unknown bytes follow its last section."),
        (good[: size // 2], "the file has"),
        (good + b"x", "The provenance at its end is cut off or was changed."),
    ):
        file.write_bytes(content)
        with pytest.raises(DamagedBundle) as caught:
            import_bundle(file, None, force=False, store=empty, progress=Recorder())
        assert why in caught.value.why
        assert empty.installed() == []
    file.write_bytes(good[:size])
    made = import_bundle(file, None, force=False, store=empty, progress=Recorder())
    assert made.name == "local/file", "a bundle without a record is a model as well"
    assert made.provenance
    assert made.provenance.recipe is None


def test_a_damaged_model_is_not_exported(bundle: Path, tmp_path: Path) -> None:
    data = bytearray(bundle.read_bytes())
    data[-100] ^= 1
    bundle.write_bytes(data)
    ended = run_program("export", NAME, tmp_path / "x.litertlm", home=tmp_path)
    assert ended.code == 10
    assert "Its SHA-256 differs" in ended.err
    assert not (tmp_path / "x.litertlm").exists()


def test_a_copy_is_a_model_of_its_own(bundle: Path, tmp_path: Path) -> None:
    store, settings = Store(tmp_path / "models"), Settings(tmp_path / "models", tmp_path, {})

    def copy(name: str, *, force: bool = False) -> Path:
        made = copy_model(
            NAME, name, force=force, store=store, settings=settings, progress=Recorder()
        )
        assert made.provenance
        assert made.provenance.model == made.name
        return made.bundle

    first = copy("mine")
    assert first == tmp_path / "models/local/mine/mine.litertlm"
    assert first.samefile(bundle), "the bytes are on disk once"
    for name in ("mine", NAME, "demo", "a/b/c"):
        with pytest.raises(UsageError):
            copy(name)
    bundle.unlink()
    provenance_path(bundle).unlink()
    assert store.match("mine") is not None
    assert first.stat().st_size


def test_import_takes_the_record_beside_the_file(bundle: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "other")
    made = import_bundle(bundle, "a/b", force=False, store=store, progress=Recorder())
    known = made.provenance
    assert known
    assert asdict(known)["recipe"] == "dynamic_int8"
    assert read_record(made.bundle) is None
    again = import_bundle(bundle, "a/b", force=False, store=store, progress=Recorder())
    assert again == made, "the same bundle is there already"
