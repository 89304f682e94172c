"""Per-model defaults, and the checks that they share with flags and /set."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litertlm.errors import NotEnoughResources, UsageError
from litertlm.services.chat.config import read_config, set_default, unset_default
from litertlm.services.chat.load import room_for_cache
from litertlm.services.chat.options import (
    OPTIONS,
    RunOptions,
    find_option,
    parse_value,
    run_options,
)


def test_what_is_set_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.toml"
    set_default(path, "org/name", "temperature", ("0.5",))
    set_default(path, "org/name", "top-k", ("40",))
    set_default(path, "org/name", "think", ("off",))
    set_default(path, "other/one", "stop", ("\\n\\n", 'say "x"'))
    assert read_config(path) == {
        "org/name": RunOptions(temperature=0.5, top_k=40, think=False),
        "other/one": RunOptions(stop=("\n\n", 'say "x"')),
    }


def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    set_default(path, "a/b", "seed", ("1",))
    before = path.read_bytes()

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("litertlm.store.files.sync_to_disk", full)
    with pytest.raises(NotEnoughResources, match="cannot be written"):
        set_default(path, "a/b", "seed", ("2",))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_without_room_for_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, cache = tmp_path / "a.litertlm", tmp_path / "cache"
    bundle.write_bytes(bytes(1000))
    assert room_for_cache(cache, bundle)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=4_000_999))
    assert not room_for_cache(cache, bundle)
    cache.mkdir()
    (cache / "a.litertlm_1_2.xnnpack_cache").touch()
    assert room_for_cache(cache, bundle)


def test_what_is_unset_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    set_default(path, "a/b", "seed", ("1",))
    set_default(path, "a/b", "top_k", ("2",))
    assert unset_default(path, "a/b", "seed")
    assert not unset_default(path, "a/b", "seed")
    assert read_config(path) == {"a/b": RunOptions(top_k=2)}
    assert unset_default(path, "a/b", None)
    assert read_config(path) == {}


@settings(max_examples=30)
@given(text=st.text())
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("config") / "config.toml"
    text = text.encode("utf-8", "ignore").decode()
    set_default(path, text or "x", "system", (text,))
    assert read_config(path) == {text or "x": RunOptions(system=text)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("temperature", "-1"),
        ("temperature", "nan"),
        ("temperature", "warm"),
        ("top_k", "0"),
        ("top_k", "1.5"),
        ("top_p", "1.1"),
        ("seed", "-1"),
        ("seed", "99999999999"),
        ("max_tokens", "0"),
        ("stop", ""),
        ("repetition_penalty", "0.5"),
        ("think", "maybe"),
        ("context", "1"),
        ("threads", "0"),
        ("backend", "npu"),
    ],
)
def test_values_that_are_not_allowed(name: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_value(OPTIONS[name], text)
    assert name in caught.value.what
    assert OPTIONS[name].allowed in caught.value.why


def test_an_unknown_option_suggests(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="temprature") as caught:
        find_option("temprature")
    assert "Did you mean temperature?" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        "top = 1",
        "models = 1",
        '[models."a/b"]\ntemperature = "hot"',
        '[models."a/b"]\nseed = true',
        '[models."a/b"]\nunknown = 1',
        '[models."a/b"]\nstop = [1]',
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_config(path)
    assert str(path) in caught.value.what
    assert caught.value.why


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('temperature = "hot"', "temperature cannot be 'hot'. It must be a number from 0 to 10"),
        ("top_k = 4.5", "top_k cannot be 4.5. It must be an integer of at least 1"),
        ("think = 1", "think cannot be 1. It must be on or off"),
        ('stop = "END"', "stop cannot be 'END'. It must be a list; each is a non-empty text"),
        ('backend = "npu"', "backend cannot be 'npu'. It must be cpu or gpu"),
    ],
)
def test_a_wrong_value_in_the_file_is_named_with_what_is_allowed(
    tmp_path: Path, line: str, reason: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f'[models."org/name"]\n{line}\n')
    with pytest.raises(UsageError) as caught:
        read_config(path)
    assert reason in caught.value.why
    assert '"org/name"' in caught.value.why


COMMENTED = """\
# My models.

[models."z/last"]  # the one that I use
seed = 7   # always the same
top-k = 20
stop = [
    "END",  # of a story
]

# Not needed any more?
[models."a/first"]
temperature = 0.25
"""


def test_comments_order_and_layout_survive(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(COMMENTED)
    set_default(path, "z/last", "seed", ("8",))
    assert path.read_text() == COMMENTED.replace("seed = 7 ", "seed = 8 ")
    set_default(path, "z/last", "top_k", ("30",))  # which the file spells with a dash
    set_default(path, "a/first", "threads", ("2",))
    set_default(path, "new/model", "think", ("on",))
    text = path.read_text()
    for line in COMMENTED.splitlines():
        assert line.replace("seed = 7", "seed = 8").replace("= 20", "= 30") in text.splitlines()
    assert text.index("z/last") < text.index("a/first") < text.index("new/model")
    assert read_config(path) == {
        "z/last": RunOptions(seed=8, top_k=30, stop=("END",)),
        "a/first": RunOptions(temperature=0.25, threads=2),
        "new/model": RunOptions(think=True),
    }
    assert unset_default(path, "new/model", None)
    assert unset_default(path, "a/first", "threads")
    assert unset_default(path, "z/last", "stop")
    text = path.read_text()
    assert "# My models." in text
    assert "seed = 8   # always the same" in text
    assert "# Not needed any more?" in text
    assert read_config(path) == {
        "z/last": RunOptions(seed=8, top_k=30),
        "a/first": RunOptions(temperature=0.25),
    }


def test_flags_win_over_defaults() -> None:
    defaults = RunOptions(temperature=0.5, stop=("A",), think=True, system="old")
    flags = RunOptions(temperature=0.0, think=False, system="")
    assert flags.over(defaults) == RunOptions(temperature=0.0, stop=("A",), think=False, system="")
    assert RunOptions().over(defaults) == defaults


def test_an_option_is_checked_wherever_it_comes_from() -> None:
    options = run_options({"top_k": 3, "stop": ["x"], "temperature": 1})
    assert options == RunOptions(top_k=3, stop=("x",), temperature=1.0)
    assert options.having("top_k", None) == RunOptions(stop=("x",), temperature=1.0)
    with pytest.raises(UsageError, match="top_k cannot be '3'"):
        options.having("top_k", "3")
    with pytest.raises(UsageError, match="Unknown option: schema"):
        run_options({"schema": "{}"})


def test_only_chosen_options_are_given() -> None:
    assert RunOptions(top_k=3, schema="{}").given() == {"top_k": 3}
