"""Arcee AFM."""

from __future__ import annotations

from functools import partial

from tiny.model import TinyFamily, TinyGguf, size, tiny
from tiny.tensors import layer_tensors

FAMILY = TinyFamily(
    "arcee",
    layer=partial(layer_tensors, mlp_modules=("up_proj", "down_proj")),
    gguf=TinyGguf("ARCEE", interleaved=True),
    models=(
        tiny(
            "arcee",
            "bias-yarn-untied",
            "ArceeForCausalLM",
            gguf={"attention_bias": False, "mlp_bias": False},
            depends_on={"rope_scaling/factor": 4.0, "hidden_act": "relu"},
            unsupported=[("hidden_act", {"hidden_act": "selu"})],
            dtype="F32",
            **size(64, 2, 4, 2),
            hidden_act="relu2",
            attention_bias=True,
            mlp_bias=True,
            rope_theta=10000.0,
            rope_scaling={
                "rope_type": "yarn",
                "factor": 20.0,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "mscale": 1.0,
                "original_max_position_embeddings": 64,
            },
            tie_word_embeddings=False,
        ),
        tiny(
            "arcee",
            "head-dim-tied",
            "ArceeForCausalLM",
            depends_on={"rope_theta": 9000.0},
            **size(64, 3, 4, 1),
            head_dim=24,
            rope_theta=10000.0,
            tie_word_embeddings=True,
        ),
    ),
)
