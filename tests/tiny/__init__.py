"""Tiny seeded checkpoints of every family, written with numpy alone.

`write_checkpoint(MODELS["llama-gqa-tied"], folder)` writes what `save_pretrained` would: config,
generation config, tokenizer and safetensors, under 1 MB and a few milliseconds. The values come
from `numpy.random.RandomState`, whose stream is frozen, through operations that IEEE 754 rounds
exactly, so every machine writes the same bytes; tests/parity/goldens holds what transformers
computes from them.
"""

from tiny.checkpoint import change_config, write_checkpoint, write_safetensors
from tiny.model import TinyModel
from tiny.models import MODELS
from tiny.shapes import tensor_shapes
from tiny.tokenizer import tokenizer_config, tokenizer_json

__all__ = [
    "MODELS",
    "TinyModel",
    "change_config",
    "tensor_shapes",
    "tokenizer_config",
    "tokenizer_json",
    "write_checkpoint",
    "write_safetensors",
]
