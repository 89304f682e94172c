"""The vocabulary in a GGUF header, validated."""

from __future__ import annotations

from typing import Any

from litertlm.checkpoint.gguf_file import GgufFile
from litertlm.errors import DamagedCheckpoint

# Token types; SentencePiece numbers them in the same way.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


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
        value = self.file.values.get(f"tokenizer.ggml.{name}_token_id")
        if value is None:
            return None
        if not isinstance(value, int) or not 0 <= value < len(self.tokens):
            raise self.damaged(f"tokenizer.ggml.{name}_token_id is {value!r}.")
        return value

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
