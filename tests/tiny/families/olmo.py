"""OLMo."""

from __future__ import annotations

from functools import partial

from tiny.model import TinyFamily, TinyGguf, size, tiny
from tiny.tensors import layer_tensors

FAMILY = TinyFamily(
    "olmo",
    layer=partial(layer_tensors, norms=()),
    final_norm=(),
    gguf=TinyGguf(
        "OLMO",
        interleaved=True,
        norm_eps=("add_layer_norm_eps", "rms_norm_eps"),
        keys={"clip_qkv": "add_clamp_kqv"},
    ),
    models=(
        tiny(
            "olmo",
            "clip-bias-untied",
            "OlmoForCausalLM",
            gguf={"attention_bias": False},
            depends_on={"clip_qkv": 0.5, "rope_theta": 9000.0},
            unsupported=[("clip_qkv", {"clip_qkv": -1.0})],
            dtype="F32",
            **size(64, 2, 4, 2),
            hidden_act="silu",
            attention_bias=True,
            clip_qkv=0.9,
            rope_theta=10000.0,
            pad_token_id=0,
            tie_word_embeddings=False,
        ),
        tiny(
            "olmo",
            "linear-tied",
            "OlmoForCausalLM",
            depends_on={"rope_scaling/factor": 4.0},
            **size(96, 3, 6, 6),
            hidden_act="silu",
            clip_qkv=None,
            rope_scaling={"rope_type": "linear", "factor": 2.0},
            pad_token_id=0,
            tie_word_embeddings=True,
        ),
    ),
)
