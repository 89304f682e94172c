"""Per-model defaults, and the checks that they share with flags and /set."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litertlm.errors import UsageError
from litertlm.services.chat.config import read_config, set_default, unset_default
from litertlm.services.chat.options import OPTIONS, find_option, parse_value


def test_what_is_set_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.toml"
    set_default(path, "org/name", "temperature", ("0.5",))
    set_default(path, "org/name", "top-k", ("40",))
    set_default(path, "org/name", "think", ("off",))
    set_default(path, "other/one", "stop", ("\\n\\n", 'say "x"'))
    assert read_config(path) == {
        "org/name": {"temperature": 0.5, "top_k": 40, "think": False},
        "other/one": {"stop": ("\n\n", 'say "x"')},
    }


def test_what_is_unset_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    set_default(path, "a/b", "seed", ("1",))
    set_default(path, "a/b", "top_k", ("2",))
    assert unset_default(path, "a/b", "seed")
    assert not unset_default(path, "a/b", "seed")
    assert read_config(path) == {"a/b": {"top_k": 2}}
    assert unset_default(path, "a/b", None)
    assert read_config(path) == {}


@settings(max_examples=30)
@given(text=st.text())
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("config") / "config.toml"
    text = text.encode("utf-8", "ignore").decode()
    set_default(path, text or "x", "system", (text,))
    assert read_config(path) == {text or "x": {"system": text}}


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
