"""Hunyuan, dense."""

from __future__ import annotations

from functools import partial

from tiny.model import TinyFamily, TinyGguf, size, tiny
from tiny.tensors import layer_tensors

FAMILY = TinyFamily(
    "hunyuan_v1_dense",
    layer=partial(
        layer_tensors,
        mlp_bias=False,
        qk_norm="head",
        qk_norm_names=("query_layernorm", "key_layernorm"),
    ),
    gguf=TinyGguf("HUNYUAN_DENSE"),
    models=(
        tiny(
            "hunyuan_v1_dense",
            "alpha-tied",
            "HunYuanDenseV1ForCausalLM",
            gguf={"rope_scaling": None, "rope_theta": 5000000.0},
            depends_on={"rope_scaling/alpha": 100.0, "rope_theta": 9000.0},
            unsupported=[("rope_scaling.alpha", {"rope_scaling/alpha": -1.0})],
            dtype="F32",
            embedding=0.06,
            **size(64, 2, 4, 2),
            head_dim=24,
            hidden_act="silu",
            rope_theta=10000.0,
            rope_scaling={
                "alpha": 1000.0,
                "beta_fast": 32,
                "beta_slow": 1,
                "factor": 1.0,
                "mscale": 1.0,
                "mscale_all_dim": 1.0,
                "type": "dynamic",
            },
            pad_token_id=0,
            tie_word_embeddings=True,
        ),
        tiny(
            "hunyuan_v1_dense",
            "bias-linear-untied",
            "HunYuanDenseV1ForCausalLM",
            depends_on={"rope_parameters/factor": 4.0},
            **size(96, 3, 6, 1),
            head_dim=16,
            hidden_act="silu",
            attention_bias=True,
            rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0},
            pad_token_id=0,
            tie_word_embeddings=False,
        ),
    ),
)
