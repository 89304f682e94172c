"""Token ids in the files of a checkpoint: the one place that reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from litertlm.checkpoint.types import StoredTensor
from litertlm.errors import DamagedCheckpoint

_NO_VOCABULARY = 1 << 31  # token ids of the runtime are 32-bit
_SUFFIX = "_token_id"
# Keys whose ids are used, or would be; the others are of parts that are not converted.
_USED = ("bos_token_id", "eos_token_id", "pad_token_id")
_SINGLE = ("bos_token_id", "pad_token_id")  # of which a model has one


def read_token_ids(
    name: str, value: Any, size: int | None, *, none: int | None = None
) -> list[int]:
    """The ids in the value of a key: an integer, a list of integers, or null.

    Args:
        name: of the file and the key, for the message.
        size: tokens of the vocabulary, or None where it is not known.
        none: a number that stands for no token.

    Raises:
        DamagedCheckpoint: an id that is not an integer or not in the vocabulary.
    """
    if value is None:
        return []
    end = _NO_VOCABULARY if size is None else size
    ids = [one for one in (value if isinstance(value, list) else [value]) if not _is(one, none)]
    if not all(type(one) is int and 0 <= one < end for one in ids):
        raise _refused(name, value, f"an integer from 0 to {end - 1}")
    return ids


def read_token_id(name: str, value: Any, size: int | None) -> int | None:
    """The id in the value of a key, as `read_token_ids`; None for null and for a list."""
    ids = read_token_ids(name, value, size)
    return None if isinstance(value, list) or not ids else ids[0]


def check_token_ids(file: str, config: Mapping[str, Any], size: int | None) -> None:
    """Check the value of every key `*_token_id` of a config.

    Ids of parts that are not converted, such as images, may be beyond the vocabulary. Where an id
    is not needed, -1 is none, as configs on the Hub have it.

    Args:
        file: named in the message, before the key.

    Raises:
        DamagedCheckpoint: as `read_token_ids`.
    """
    for key in _keys(config):
        none = None if key in ("bos_token_id", "eos_token_id") else -1
        if key in _SINGLE and isinstance(config[key], list):
            raise _refused(f"{file}{key}", config[key], "one integer")
        read_token_ids(f"{file}{key}", config[key], size if key in _USED else None, none=none)


def _refused(name: str, value: Any, wanted: str) -> DamagedCheckpoint:
    return DamagedCheckpoint(
        f"{name} is not a token of this model.",
        why=f"It is {value!r:.100}, but must be {wanted}.",
        hint="Use the config files of one and the same model.",
    )


def vocabulary_size(config: Mapping[str, Any], tensors: Mapping[str, StoredTensor]) -> int | None:
    """Rows of the embedding table, else `vocab_size`; None where neither is there."""
    for name, tensor in tensors.items():
        if name.endswith("embed_tokens.weight") and tensor.shape:
            return tensor.shape[0]
    text = config.get("text_config")
    size = (text if isinstance(text, Mapping) else config).get("vocab_size")
    return size if type(size) is int else None


def _is(value: object, none: int | None) -> bool:
    return none is not None and type(value) is int and value == none


def _keys(config: Mapping[str, Any]) -> Iterator[str]:
    return (key for key in config if key.endswith(_SUFFIX))
