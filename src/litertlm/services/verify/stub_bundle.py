"""A bundle of a few kilobytes with another bundle's tokenizer and prompts.

The runtime renders and tokenizes with it as with the real one, and starts without the weights.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from litertlm.bundle import metadata
from litertlm.bundle.tokenizer_section import packed_tokenizer
from litertlm.bundle_format.constants import (
    EXECUTOR_METADATA,
    HF_TOKENIZER,
    LLM_METADATA,
    SENTENCEPIECE,
)
from litertlm.bundle_format.header import read_header, read_section
from litertlm.checkpoint import Checkpoint, Tokenizer
from litertlm.disk import BINARY
from litertlm.families import Signature, identify
from litertlm.graph import Dim
from litertlm.quantize import RECIPES, apply
from litertlm.services import bundle_file
from litertlm.services.bundle_file import Section, tflite_section
from litertlm.tflite import Layout
from litertlm.tflite import plan as plan_tflite

_CONTEXT = 32  # tokens; nothing is ever prefilled
_CONFIG = {
    "model_type": "llama",
    "vocab_size": 8,
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "max_position_embeddings": _CONTEXT,
    "tie_word_embeddings": True,
}
_COPIED = (LLM_METADATA, HF_TOKENIZER, SENTENCEPIECE)
_LAYER = "model.layers.0."
_SHAPES = {
    "model.embed_tokens.weight": (8, 8),
    "model.norm.weight": (8,),
    f"{_LAYER}input_layernorm.weight": (8,),
    f"{_LAYER}post_attention_layernorm.weight": (8,),
    **{f"{_LAYER}self_attn.{name}_proj.weight": (8, 8) for name in "qkvo"},
    **{f"{_LAYER}mlp.{name}_proj.weight": (8, 8) for name in ("gate", "up", "down")},
}


@dataclass(frozen=True)
class _Ones:
    """A tensor of ones."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "F32"

    @property
    def nbytes(self) -> int:
        return 4 * int(np.prod(self.shape))

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        return np.ones((stop - start, *self.shape[1:]), np.float32)


def sections_of(bundle: Path) -> dict[str, bytes]:
    """What `write_stub` needs of a bundle.

    Raises:
        DamagedBundle: the file is damaged.
    """
    header = read_header(bundle)
    return {
        section.kind: read_section(bundle, section)
        for section in header.sections
        if section.kind in _COPIED
    }


def plain_sections() -> dict[str, bytes]:
    """Sections that any runtime loads: a tokenizer of one word, no template."""
    words = {"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}
    kind, data = packed_tokenizer("huggingface", json.dumps(words).encode())
    return {LLM_METADATA: metadata.plain_llm_metadata(_CONTEXT), kind: data}


def write_stub(sections: Mapping[str, bytes], target: Path) -> None:
    """Write a bundle of a tiny model and `sections`, by kind; others than its metadata and
    tokenizer are left out."""
    tokenizer = Tokenizer(None, None, {}, None, False, bos_token_id=None, eos_token_id=None)
    tensors = {name: _Ones(name, shape) for name, shape in _SHAPES.items()}
    checkpoint = Checkpoint(target, "safetensors", _CONFIG, {}, tensors, tokenizer)
    family = identify(_CONFIG)
    cache = Dim("C")
    signatures = [
        Signature("prefill", Dim("S"), cache, logits=False),
        Signature("decode", 1, cache, logits=True),
    ]
    model = family.build(checkpoint, signatures)
    encodings = apply(model, RECIPES["none"])
    layout = plan_tflite(model, encodings, cache_length=_CONTEXT, description="stub")
    contents = {kind: data for kind, data in sections.items() if kind in _COPIED}
    contents[EXECUTOR_METADATA] = metadata.executor_metadata(
        family.states, cache_length=None, max_context=_CONTEXT
    )
    write_bundle(target, contents, {bundle_file.PREFILL_DECODE: layout})


def write_bundle(target: Path, contents: Mapping[str, bytes], models: Mapping[str, Layout]) -> None:
    """Write a small bundle in one go, without a name or a time.

    Args:
        contents: of the sections that are not models, by kind.
        models: by the runtime's `model_type`.
    """
    sections = [Section(kind, data) for kind, data in contents.items()]
    sections += [tflite_section(model_type, layout) for model_type, layout in models.items()]
    fd = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC | BINARY, 0o600)
    try:
        bundle_file.write(fd, bundle_file.place(sections, {}), threads=1)
    finally:
        os.close(fd)
