"""The vocabulary in a GGUF header, validated."""

from __future__ import annotations

from typing import Any

from litertlm.checkpoint.gguf_file import GgufFile
from litertlm.checkpoint.token_ids import read_token_ids
from litertlm.errors import DamagedCheckpoint

# Token types; SentencePiece numbers them in the same way.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


# How an unsigned integer says that there is no such token (-1 in llama.cpp).
_NONE = 0xFFFFFFFF


def special_token_id(file: GgufFile, name: str, size: int | None) -> int | None:
    """The id of the token `bos`, `eos`, `unknown`, `padding`, `eot` or `eom`, or None.

    Args:
        size: tokens of the vocabulary, or None where it is not known.

    Raises:
        DamagedCheckpoint: it is no token of the vocabulary.
    """
    key = f"tokenizer.ggml.{name}_token_id"
    none = _NONE if name == "padding" else None
    ids = read_token_ids(f"{file.path}: {key}", file.values.get(key), size, none=none)
    return ids[0] if ids else None


class Vocabulary:
    """Tokens by id, their types, and the special ones among them.

    Args:
        file: the GGUF header.

    Raises:
        DamagedCheckpoint: no tokens, a token twice, arrays of different lengths.
    """

    def __init__(self, file: GgufFile) -> None:
        self.file = file
        self.tokens: list[str] = self.array("tokens", str)
        if not self.tokens:
            raise self.damaged("tokenizer.ggml.tokens is empty.")
        embedding = file.tensors.get("token_embd.weight")
        if embedding is not None and len(self.tokens) > embedding.shape[0]:
            raise self.damaged(
                f"It has {len(self.tokens):,} tokens; the embedding has {embedding.shape[0]:,}."
            )
        self.types: list[int] = [NORMAL] * len(self.tokens)
        if "tokenizer.ggml.token_type" in file.values:
            self.types = self.array("token_type", int, len(self.tokens))
        self.ids: dict[str, int] = {}
        for number, token in enumerate(self.tokens):
            if self.ids.setdefault(token, number) != number:
                raise self.damaged(f"Token {token!r} occurs twice.")

    def special(self, name: str) -> int | None:
        """The id of the token `bos`, `eos`, `unknown`, `padding`, `eot` or `eom`, or None."""
        return special_token_id(self.file, name, len(self.tokens))

    def flag(self, name: str, default: bool) -> bool:
        """A boolean such as `add_bos_token`."""
        value = self.file.values.get(f"tokenizer.ggml.{name}", default)
        if not isinstance(value, bool):
            raise self.damaged(f"tokenizer.ggml.{name} is {value!r}.")
        return value

    def array(self, name: str, kind: type, length: int | None = None) -> list[Any]:
        """The array `tokenizer.ggml.<name>`, of elements of one type."""
        value = self.file.values.get(f"tokenizer.ggml.{name}")
        if not isinstance(value, list) or not all(isinstance(v, kind) for v in value):
            raise self.damaged(f"tokenizer.ggml.{name} is missing or of a wrong type.")
        if length is not None and len(value) != length:
            raise self.damaged(
                f"tokenizer.ggml.{name} has {len(value):,} elements for {length:,} tokens."
            )
        return value

    def damaged(self, why: str) -> DamagedCheckpoint:
        """The error to raise."""
        return DamagedCheckpoint(f"The tokenizer in {self.file.path} is damaged.", why=why)
