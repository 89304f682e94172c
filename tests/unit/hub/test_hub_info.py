"""Any metadata from a server is either parsed or one of our errors."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litertlm.errors import LiteRtLmError
from litertlm.hub.info import RepoInfo, repo_info

COMMIT, SHA256 = "c" * 40, "a" * 64

# As the Hub answers (https://huggingface.co/docs/hub/api), shortened.
ANSWER: dict[str, Any] = {
    "id": "org/name",
    "sha": COMMIT,
    "private": False,
    "gated": "manual",
    "tags": ["gguf", "license:gemma"],
    "cardData": {"license": "gemma", "base_model": ["google/gemma-3-270m"]},
    "gguf": {"architecture": "gemma3"},
    "siblings": [
        {"rfilename": "config.json", "size": 100, "blobId": "b" * 40},
        {
            "rfilename": "sub/x.safetensors",
            "size": 5_000_000,
            "blobId": "d" * 40,
            "lfs": {"sha256": SHA256, "size": 5_000_000, "pointerSize": 134},
        },
    ],
}


class Client:
    """A Hub that gives one answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def info_json(self, repo: str, revision: str | None) -> Any:
        return self.answer


def read(answer: Any) -> RepoInfo:
    return repo_info(Client(answer), "org/name")  # type: ignore[arg-type]


def test_answer_of_the_hub():
    info = read(ANSWER)
    assert (info.repo, info.commit, info.gated, info.private) == ("org/name", COMMIT, True, False)
    assert info.licence == "gemma"
    assert info.base_models == ("google/gemma-3-270m",)
    assert info.gguf_architecture == "gemma3"
    small, large = info.files
    assert (small.path, small.size, small.sha256, small.blob_id) == (
        "config.json",
        100,
        None,
        "b" * 40,
    )
    assert (large.name, large.size, large.sha256) == ("x.safetensors", 5_000_000, SHA256)


def test_licence_from_the_tags():
    assert read({**ANSWER, "cardData": None}).licence == "gemma"
    evil = "evil\x1b[2J"
    answer = {**ANSWER, "cardData": {"license": evil}, "tags": [f"license:{evil}"]}
    assert read(answer).licence is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something can be replaced in `value`."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    inner = value if isinstance(value, dict) else {}
    return [here, *(path for key in inner for path in paths(inner[key], (*here, key)))]


@given(st.sampled_from(paths(ANSWER)), JSON)
def test_any_replacement_is_parsed_or_refused(path, value):
    answer = copy.deepcopy(ANSWER)
    if not path:
        answer = value
    else:
        place = answer
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
    try:
        info = read(answer)
    except LiteRtLmError:
        return
    assert len(info.commit) == 40
    assert all(file.path.isprintable() and file.size >= 0 for file in info.files)
    assert info.licence is None or info.licence.isprintable()


@pytest.mark.parametrize("size", [-1, True, 1 << 70, None, "5", 1.5])
def test_impossible_sizes(size):
    answer = copy.deepcopy(ANSWER)
    answer["siblings"][0]["size"] = size
    with pytest.raises(LiteRtLmError, match="cannot be parsed"):
        read(answer)
