"""StarCoder 2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiny.model import WINDOW, TinyFamily, TinyGguf, size, tiny
from tiny.tensors import Shape, layer_tensors


def _layer(config: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    bias = config.get("use_bias", True)
    yield from layer_tensors(
        config,
        qkv_bias=bias,
        out_bias=bias,
        mlp_bias=bias,
        mlp_modules=("c_fc", "c_proj"),
        norm_bias=True,
    )


FAMILY = TinyFamily(
    "starcoder2",
    layer=_layer,
    tied=True,
    final_norm=("norm.weight", "norm.bias"),
    gguf=TinyGguf("STARCODER2", norm_eps=("add_layer_norm_eps", "norm_epsilon")),
    models=(
        tiny(
            "starcoder2",
            "window-untied",
            "Starcoder2ForCausalLM",
            gguf={"sliding_window": None},
            depends_on={"sliding_window": 11, "norm_epsilon": 0.1, "rope_theta": 9000.0},
            unsupported=[("layer_types", {"layer_types": ["full_attention"] * 2})],
            dtype="F32",
            **size(64, 2, 4, 2),
            hidden_act="gelu_pytorch_tanh",
            norm_epsilon=1e-5,
            sliding_window=WINDOW,
            rope_theta=10000.0,
            tie_word_embeddings=False,
        ),
        tiny(
            "starcoder2",
            "plain-tied",
            "Starcoder2ForCausalLM",
            depends_on={"hidden_act": "relu"},
            embedding=0.06,
            **size(96, 3, 6, 3),
            head_dim=24,
            hidden_act="gelu",
            norm_epsilon=1e-6,
            use_bias=False,
            sliding_window=None,
            rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
        ),
    ),
)
