"""A checkpoint as the rest of the program sees it, independent of its file format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class StoredTensor(Protocol):
    """One tensor of a checkpoint: its header has been read, its data is read on demand.

    Attributes:
        name: the tensor's Hugging Face name, also for GGUF
            (`model.layers.0.self_attn.q_proj.weight`).
        dtype: how it is stored: `BF16`, `F16`, `F32`, or a GGUF type name such as `Q4_1`.
        shape: `(out, in)` for matrices, as PyTorch has it.
        nbytes: size in the file.
    """

    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def nbytes(self) -> int: ...

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows `[start, stop)` of the first axis as float32, `[stop - start, *shape[1:]]`.

        A fresh array that the caller may overwrite. Safe to call from several threads.
        """


@dataclass(frozen=True)
class Tokenizer:
    """The tokenizer files of a checkpoint.

    Attributes:
        json: the bytes of tokenizer.json (for GGUF, generated from the vocabulary), or None.
        sentencepiece: the bytes of `tokenizer.model`, or None.
        config: tokenizer_config.json (translated from the header for GGUF).
        chat_template: the Jinja source, or None for a base model.
        adds_bos: whether encoding a text adds a BOS token.
        bos_token_id, eos_token_id: the tokenizer's own, or None.
    """

    json: bytes | None
    sentencepiece: bytes | None
    config: Mapping[str, Any]
    chat_template: str | None
    adds_bos: bool
    bos_token_id: int | None
    eos_token_id: int | None


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint.

    Attributes:
        path: the folder or the `.gguf` file.
        format: `safetensors` or `gguf`.
        config: config.json, or its translation from the GGUF header.
        generation_config: generation_config.json or an empty mapping.
        tensors: by Hugging Face name, in the order of their data in the files.
        tokenizer: the tokenizer files.
    """

    path: Path
    format: str
    config: Mapping[str, Any]
    generation_config: Mapping[str, Any]
    tensors: Mapping[str, StoredTensor]
    tokenizer: Tokenizer
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors as stored."""
        return sum(t.nbytes for t in self.tensors.values())
