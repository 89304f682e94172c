"""Tiny checkpoints with `tie_word_embeddings: true` that store a head beside the embeddings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tiny.checkpoint import tensor_values, write_checkpoint, write_safetensors
from tiny.model import TinyModel
from tiny.models import FAMILIES, MODELS
from tiny.shapes import tensor_shapes

# One model of each family, and the language model of a multimodal one.
STORED_HEAD = [
    *(next(m for m in f.models if m.shards == 1).name for f in FAMILIES.values()),
    "gemma3-vision",
]


def write_with_head(name: str, folder: Path, *, equal: bool) -> Path:
    """Write the model `name` with tied embeddings and a stored head, `equal` to them or not."""
    model = tied_model(name)
    write_checkpoint(model, folder, chat_template=None)
    write_safetensors(folder / "model.safetensors", with_head(model, equal=equal), model.dtype)
    return folder


def tied_model(name: str) -> TinyModel:
    """The model `name`, with `tie_word_embeddings: true`."""
    model = MODELS[name]
    return replace(model, config={**model.config, "tie_word_embeddings": True})


def with_head(model: TinyModel, *, equal: bool) -> dict[str, NDArray[np.float64]]:
    """The tensors of `model`, the head last; it differs in many values, not in the first ones."""
    tensors = {name: tensor_values(model, name, s) for name, s in tensor_shapes(model).items()}
    embedding = tensors[f"{model.prefix}embed_tokens.weight"]
    head = embedding.copy()
    if not equal:
        head[len(head) // 2 :] = embedding[::-1][len(head) // 2 :]
    tensors[model.prefix.removesuffix("model.") + "lm_head.weight"] = head
    return tensors
