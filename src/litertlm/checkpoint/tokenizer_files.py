"""The tokenizer files of a Hugging Face checkpoint folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litertlm.checkpoint.files import (
    DOWNLOAD_AGAIN,
    is_count,
    optional_json_object,
    parse_json_object,
    read_bytes,
)
from litertlm.checkpoint.token_ids import read_token_id, vocabulary_size
from litertlm.checkpoint.types import Tokenizer
from litertlm.constants import SENTENCEPIECE_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE
from litertlm.errors import DamagedCheckpoint, ModelNotFound
from litertlm.text import is_utf8

_TOKENIZER_LIMIT = 256_000_000
_TEXT_LIMIT = 16_000_000


def read_tokenizer(folder: Path, config: Mapping[str, Any]) -> Tokenizer:
    """Read tokenizer.json, tokenizer.model, tokenizer_config.json and the chat template.

    Args:
        folder: the checkpoint's folder.
        config: its config.json.

    Raises:
        ModelNotFound: the folder has neither tokenizer.json nor tokenizer.model.
        DamagedCheckpoint: a file is damaged, or a token's id is beyond the model's vocabulary.
    """
    serialized = _optional_bytes(folder / TOKENIZER_FILE, _TOKENIZER_LIMIT)
    sentencepiece = _sentencepiece(folder / SENTENCEPIECE_FILE)
    if serialized is None and sentencepiece is None:
        raise ModelNotFound(
            f"{folder} has no tokenizer.",
            why="It has neither tokenizer.json nor a SentencePiece tokenizer.model.",
            hint="Download the tokenizer files of the model into the folder.",
        )
    settings = {
        **optional_json_object(folder / "special_tokens_map.json"),
        **optional_json_object(folder / TOKENIZER_CONFIG_FILE),
    }
    template = _chat_template(folder, settings)
    if serialized is None:
        bos, eos = (_config_id(f"{name}_token_id", config) for name in ("bos", "eos"))
        return Tokenizer(
            json=None,
            sentencepiece=sentencepiece,
            config=settings,
            chat_template=template,
            # The default of tokenizers that have only a tokenizer.model.
            adds_bos=bool(settings.get("add_bos_token", True)),
            bos_token_id=bos,
            eos_token_id=eos,
        )
    outline = _outline(folder / TOKENIZER_FILE, serialized)
    added = _added_tokens(folder / TOKENIZER_FILE, outline)
    bos, eos = (_special_id(f"{name}_token", settings, config, added) for name in ("bos", "eos"))
    _check_added(folder, config, added, {bos, eos}, template or "")
    _check_vocabulary(folder, config, serialized)
    return Tokenizer(
        json=serialized,
        sentencepiece=sentencepiece,
        config=settings,
        chat_template=template,
        adds_bos=_adds_bos(folder / TOKENIZER_FILE, outline, settings, bos),
        bos_token_id=bos,
        eos_token_id=eos,
    )


def read_chat_template(folder: Path) -> str | None:
    """The default chat template of a folder that need not have a tokenizer.

    Raises:
        DamagedCheckpoint: a file is damaged.
    """
    return _chat_template(folder, optional_json_object(folder / TOKENIZER_CONFIG_FILE))


def _outline(path: Path, serialized: bytes) -> dict[str, Any]:
    """All of tokenizer.json but `model`, which is nearly all of it and comes last.

    Parsing all of Gemma 3's takes a second and 300 MB. A quote inside of a JSON string is escaped,
    so the pattern matches only a key.
    """
    match = re.search(rb',\s*"model"\s*:\s*\{', serialized)
    if match is None:
        return parse_json_object(serialized, str(path))
    if re.search(rb"\}\s*\}\s*\Z", serialized[-64:]) is None:
        raise DamagedCheckpoint(f"{path} is cut off.", hint=DOWNLOAD_AGAIN)
    outline = parse_json_object(serialized[: match.start()] + b"}", str(path))
    if "added_tokens" in outline and "post_processor" in outline:
        return outline
    return parse_json_object(serialized, str(path))


def _added_tokens(path: Path, outline: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    entries = outline.get("added_tokens") or []
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and is_count(e.get("id")) and isinstance(e.get("content"), str)
        for e in entries
    ):
        raise DamagedCheckpoint(f"{path} has malformed added_tokens.", hint=DOWNLOAD_AGAIN)
    return {e["content"]: e for e in entries}


def _check_vocabulary(folder: Path, config: Mapping[str, Any], serialized: bytes) -> None:
    """Check that the tokenizer has no more tokens than the embedding has rows.

    The library writes the vocabulary in the order of ids; the last one is before `merges`.
    """
    merges = re.search(rb'"merges"\s*:\s*\[', serialized)
    if merges is None:
        return
    tail = serialized[max(0, merges.start() - 256) : merges.start()]
    last = re.search(rb":\s*(\d+)\s*\}\s*,\s*\Z", tail)
    size = vocabulary_size(config, {})
    if last is not None and size is not None and int(last[1]) >= size:
        raise _too_large(folder, f"The tokenizer's last token has the id {int(last[1])}", size)


def _check_added(
    folder: Path,
    config: Mapping[str, Any],
    added: Mapping[str, Mapping[str, Any]],
    needed: set[int | None],
    template: str,
) -> None:
    """Check that tokens which can occur in a text have a row in the embedding.

    An unused special token without one is harmless: the tokenizer of Gemma 3 has one for images,
    which its text models do not support.
    """
    size = vocabulary_size(config, {})
    if size is None:
        return
    for content, entry in added.items():
        used = entry["id"] in needed or not entry.get("special") or content in template
        if entry["id"] >= size and used:
            raise _too_large(folder, f"Token {content!r} has the id {entry['id']}", size)


def _too_large(folder: Path, what: str, size: int) -> DamagedCheckpoint:
    return DamagedCheckpoint(
        f"{what}, and the model's vocabulary ends at {size - 1}.",
        why=f"In {folder}, tokenizer.json contradicts vocab_size of config.json.",
        hint="Use the tokenizer files and the config.json of the same model.",
    )


def _adds_bos(
    path: Path, outline: Mapping[str, Any], settings: Mapping[str, Any], bos: int | None
) -> bool:
    """Whether an encoded text starts with BOS, as in transformers 5.

    `add_bos_token` in tokenizer_config.json replaces the post-processor; without it, the
    post-processor of tokenizer.json is run.
    """
    if "add_bos_token" in settings or "add_eos_token" in settings:
        return bool(settings.get("add_bos_token", False)) and bos is not None
    if outline.get("post_processor") is None:
        return False
    from tokenizers import Tokenizer as Runnable

    probe: dict[str, Any] = {
        "version": "1.0",
        "added_tokens": [],
        "post_processor": outline.get("post_processor"),
        "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"},
    }
    try:
        encoding = Runnable.from_str(json.dumps(probe)).encode("a")
    except BaseException as error:  # the package raises nothing narrower, and panics of Rust code
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise  # Ctrl-C
        raise DamagedCheckpoint(f"{path} has an invalid post_processor.", why=str(error)) from error
    if 0 not in encoding.special_tokens_mask:
        raise DamagedCheckpoint(
            f"{path} has an invalid post_processor.", why="It removes the text that it is given."
        )
    return bool(encoding.special_tokens_mask[0]) and bos == encoding.ids[0]


def _special_id(
    key: str,
    settings: Mapping[str, Any],
    config: Mapping[str, Any],
    added: Mapping[str, Mapping[str, Any]],
) -> int | None:
    token = settings.get(key)
    content = token.get("content") if isinstance(token, dict) else token
    if not isinstance(content, str):
        return None
    if content in added:
        number: int = added[content]["id"]
        return number
    return _config_id(f"{key}_id", config)


def _config_id(key: str, config: Mapping[str, Any]) -> int | None:
    return read_token_id(f"config.json: {key}", config.get(key), vocabulary_size(config, {}))


def _chat_template(folder: Path, settings: Mapping[str, Any]) -> str | None:
    """The default template: chat_template.jinja, else the key of a JSON file."""
    data = _optional_bytes(folder / "chat_template.jinja", _TEXT_LIMIT)
    if data is not None:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise DamagedCheckpoint(
                f"{folder / 'chat_template.jinja'} is not UTF-8 text.", hint=DOWNLOAD_AGAIN
            ) from error
    template = optional_json_object(folder / "chat_template.json").get(
        "chat_template", settings.get("chat_template")
    )
    if isinstance(template, list):
        defaults = (t for t in template if isinstance(t, dict) and t.get("name") == "default")
        template = next(defaults, {}).get("template")
    if not isinstance(template, str):
        return None
    if not is_utf8(template):
        raise DamagedCheckpoint(
            f"The chat template in {folder} is not valid text.",
            why="It has half of a surrogate pair, which UTF-8 cannot store.",
            hint=DOWNLOAD_AGAIN,
        )
    return template


def _sentencepiece(path: Path) -> bytes | None:
    """A SentencePiece model; Llama 3 has a file with this name in another format."""
    data = _optional_bytes(path, _TOKENIZER_LIMIT)
    # The first field of the protobuf message is a piece.
    return data if data is not None and data.startswith(b"\n") else None


def _optional_bytes(path: Path, limit: int) -> bytes | None:
    return read_bytes(path, limit) if path.exists() else None
