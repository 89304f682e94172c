"""StableLM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tiny.model import TinyFamily, TinyGguf, size, tiny
from tiny.tensors import Shape, layer_tensors


def _layer(config: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    parallel, bias = config.get("use_parallel_residual", False), config.get("use_qkv_bias", False)
    norms = ("input",) if parallel else ("input", "post_attention")
    yield from layer_tensors(config, qkv_bias=bias, out_bias=False, norms=norms, norm_bias=True)
    if config.get("qk_layernorm", False):
        head_dim = config["hidden_size"] // config["num_attention_heads"]
        for name, key in (("q", "num_attention_heads"), ("k", "num_key_value_heads")):
            for head in range(config[key]):
                yield f"self_attn.{name}_layernorm.norms.{head}.weight", (head_dim,)


def _parameters(writer: Any, config: Mapping[str, Any]) -> None:
    head_dim = config.get("head_dim", config["hidden_size"] // config["num_attention_heads"])
    writer.add_rope_dimension_count(int(head_dim * config["partial_rotary_factor"]))


FAMILY = TinyFamily(
    "stablelm",
    layer=_layer,
    final_norm=("norm.weight", "norm.bias"),
    gguf=TinyGguf(
        "STABLELM", norm_eps=("add_layer_norm_eps", "layer_norm_eps"), parameters=_parameters
    ),
    models=(
        tiny(
            "stablelm",
            "parallel-head-norms-untied",
            "StableLmForCausalLM",
            gguf={"qk_layernorm": False},
            depends_on={"layer_norm_eps": 0.1, "partial_rotary_factor": 0.25},
            unsupported=[("head_dim", {"head_dim": 24})],
            dtype="F32",
            **size(64, 2, 4, 2),
            hidden_act="silu",
            layer_norm_eps=1e-5,
            use_parallel_residual=True,
            qk_layernorm=True,
            partial_rotary_factor=0.5,
            rope_theta=10000.0,
            tie_word_embeddings=False,
        ),
        tiny(
            "stablelm",
            "bias-quarter-tied",
            "StableLmForCausalLM",
            depends_on={"partial_rotary_factor": 0.5},
            embedding=0.06,
            **size(96, 3, 6, 6),
            hidden_act="silu",
            layer_norm_eps=1e-6,
            use_qkv_bias=True,
            rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
            tie_word_embeddings=True,
        ),
    ),
)
