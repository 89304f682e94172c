"""Full disks, low limits, pipes and devices: the exit code and the message of the real program."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from litertlm.cli.errors import run_guarded
from litertlm.cli.output import make_output
from litertlm.errors import NotEnoughResources
from litertlm.services.convert.options import ConvertOptions
from program import PROGRAM, Ended, isolated_environment
from recorder import Recorder
from tiny import MODELS, write_checkpoint
from unit.cli.test_program import install, write_bundle

SECONDS = 60  # after which a run counts as one that never ends


def run_with(
    *arguments: str | Path,
    home: Path,
    stdin: int | None = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    limits: Callable[[], None] | None = None,
    **environment: str,
) -> Ended:
    """Run the program with other streams, or with limits."""
    done = subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        env=isolated_environment(home, **environment),
        cwd=home,
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=SECONDS,
        preexec_fn=limits,
    )
    return Ended(done.returncode, done.stdout or "", done.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["list", "--json"],
        ["show", "o/model"],
        ["models"],
        ["config"],
        ["--help"],
        ["run", "--help"],
        ["--version"],
        [],
    ],
)
def test_a_full_stdout_is_one_line_on_stderr(arguments: list[str], tmp_path: Path) -> None:
    write_bundle(install(tmp_path / "models", "o/model", 100_000), 100_000)
    with open("/dev/full", "w") as full:
        ended = run_with(*arguments, home=tmp_path, stdout=full.fileno())
    assert ended.code == 6
    (line,) = ended.err.splitlines()
    assert "No space left on device" in line


def test_a_full_stdout_of_shell_completion(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        variables = {"_LITERT_LM_CLI_COMPLETE": "zsh_source"}
        ended = run_with(home=tmp_path, stdout=full.fileno(), **variables)
    assert (ended.code, ended.err) == (6, "✗ No space left on device.\n")


@pytest.mark.parametrize("megabytes", [60, 200])
def test_too_little_address_space(megabytes: int, tmp_path: Path) -> None:
    write_checkpoint(MODELS["llama-gqa-tied"], tmp_path / "tiny")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    ended = run_with("convert", "tiny", home=tmp_path, limits=limit)
    assert ended.code == 6, ended.err
    assert "✗ Not enough memory to convert a model.\n" in ended.err
    assert "Raise the limit (ulimit -v).\n" in ended.err
    assert "disk" not in ended.err


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        ImportError("x.abi3.so: failed to map segment from shared object"),
        ImportError("PLEASE READ\nOriginal error was: x.so: cannot allocate memory in static TLS"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_memory_that_ends_within_a_command(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    assert run_guarded(fail, lambda: make_output({})) == 6
    printed = capsys.readouterr().err.splitlines()
    assert printed[0] in {"✗ Not enough memory.", "✗ Cannot allocate memory."}
    assert not any("Internal error" in line for line in printed)


@pytest.mark.parametrize(("name", "code"), [("a/b.litertlm", 10), ("a/b.json", 6)])
def test_a_disk_that_fails(name: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "Input/output error", name)

    assert run_guarded(fail, lambda: make_output({})) == code
    printed = capsys.readouterr().err.splitlines()
    assert printed[:3] == [f"✗ Cannot read or write {name}.", "", "Input/output error"]
    assert printed[3].startswith("The disk fails or was removed.")


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "Free some"),
        (errno.EDQUOT, "quota"),
        (errno.EFBIG, "ulimit -f"),
        (errno.ENOMEM, "ulimit -v"),
        (errno.EMFILE, "ulimit -n"),
    ],
)
def test_a_bundle_that_cannot_be_written_for_want_of_something(
    number: int, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from litertlm.services.convert import conversion as module

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module, "write_plan", fail)
    source = write_checkpoint(MODELS["llama-gqa-tied"], tmp_path / "tiny")
    with pytest.raises(NotEnoughResources) as caught:
        module.convert(source, tmp_path / "x.litertlm", ConvertOptions(), progress=Recorder())
    assert hint in caught.value.hint
    assert not list(tmp_path.glob("*litertlm*"))


def test_too_small_a_limit_of_file_sizes(tmp_path: Path) -> None:
    write_checkpoint(MODELS["llama-gqa-tied"], tmp_path / "tiny")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    ended = run_with("convert", "tiny", home=tmp_path, limits=limit)
    assert ended.code == 6
    assert "File too large.\nRaise the limit on the size of a file (ulimit -f)." in ended.err
    assert not list(tmp_path.glob("models/**/*litertlm*"))


@pytest.mark.parametrize("arguments", [["list"], ["convert", "tiny"], ["rm", "o/model"]])
def test_a_models_folder_whose_name_is_not_utf8(arguments: list[str], tmp_path: Path) -> None:
    write_checkpoint(MODELS["llama-gqa-tied"], tmp_path / "tiny")
    folder = os.fsdecode(b"m\xff")
    ended = run_with("--models-dir", folder, *arguments, home=tmp_path)
    assert ended.code == 2
    assert "✗ The name of the models folder is not valid UTF-8: " in ended.err
    assert "\\udcff'.\n" in ended.err


def test_a_checkpoint_and_a_bundle_whose_names_are_not_utf8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"c\xff")
    write_checkpoint(MODELS["llama-gqa-tied"], folder)
    made = run_with("convert", folder, "--no-check", "--json", home=tmp_path)
    assert made.code == 0, made.err
    bundle = folder / "x.litertlm"
    Path(json.loads(made.out)["path"]).rename(bundle)
    ended = run_with("run", bundle, "--prompt", "x", home=tmp_path)
    assert ended.code == 1
    assert "✗ The runtime could not load" in ended.err
    assert "Internal error" not in ended.err


@pytest.mark.parametrize("what", ["pipe", "device"])
@pytest.mark.parametrize("name", ["model.json", ".model.json.new", "checkpoint/.hub.json"])
def test_a_pipe_or_device_in_place_of_a_record(name: str, what: str, tmp_path: Path) -> None:
    bundle = install(tmp_path / "models", "o/model")
    path = bundle.parent / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    if what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    ended = run_with("list", "--json", home=tmp_path)
    assert ended.code == 0, ended.err
    (model,) = json.loads(ended.out)
    assert (model["model"], model["size_bytes"]) == ("o/model", 1000)


@pytest.mark.parametrize("what", ["pipe", "device"])
def test_a_pipe_or_device_in_place_of_the_configuration(what: str, tmp_path: Path) -> None:
    install(tmp_path / "models", "o/model")
    path = tmp_path / "models" / "config.toml"
    if what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    ended = run_with("run", "o/model", "--prompt", "x", home=tmp_path)
    assert ended.code == 2
    assert f"✗ {path} cannot be read.\n" in ended.err
    assert "Not a regular file" in ended.err


@pytest.mark.parametrize("option", ["--prompt-file", "--schema"])
def test_a_prompt_or_a_schema_without_an_end(option: str, tmp_path: Path) -> None:
    install(tmp_path / "models", "o/model")
    ended = run_with("run", "o/model", option, "/dev/zero", home=tmp_path)
    assert ended.code == 2
    assert ended.err.startswith("✗ /dev/zero is too long.\n")


def test_piped_input_without_an_end(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(MODELS["llama-gqa-tied"], tmp_path / "tiny")
    assert run_with("convert", checkpoint, "--no-check", home=tmp_path).code == 0
    with subprocess.Popen(["cat", "/dev/zero"], stdout=subprocess.PIPE) as endless:
        assert endless.stdout is not None
        ended = run_with("run", "local/tiny", home=tmp_path, stdin=endless.stdout.fileno())
        endless.kill()
    assert ended.code == 2
    assert "✗ The input is too long.\n" in ended.err


def test_a_prompt_from_a_pipe(tmp_path: Path) -> None:
    """`--prompt-file <(command)` is read as a file is."""
    checkpoint = write_checkpoint(MODELS["llama-gqa-tied"], tmp_path / "tiny")
    assert run_with("convert", checkpoint, "--no-check", home=tmp_path).code == 0
    reader, writer = os.pipe()
    os.write(writer, b"\n")
    os.close(writer)
    done = subprocess.run(
        [*PROGRAM, "run", "local/tiny", "--prompt-file", f"/dev/fd/{reader}"],
        env=isolated_environment(tmp_path),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        pass_fds=[reader],
    )
    os.close(reader)
    assert "✗ The prompt is empty.\n" in done.stderr
