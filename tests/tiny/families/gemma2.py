"""Gemma 2."""

from __future__ import annotations

from functools import partial

from tiny.model import WINDOW, TinyFamily, TinyGguf, size, tiny
from tiny.tensors import SANDWICH_NORMS, layer_tensors

FAMILY = TinyFamily(
    "gemma2",
    layer=partial(layer_tensors, norms=SANDWICH_NORMS),
    norm_offset=1.0,
    tied=True,
    gguf=TinyGguf("GEMMA2"),
    models=(
        tiny(
            "gemma2",
            "softcaps",
            "Gemma2ForCausalLM",
            gguf={"query_pre_attn_scalar": 16},
            depends_on={
                "attn_logit_softcapping": None,
                "final_logit_softcapping": None,
                "sliding_window": 11,
            },
            unsupported=[("attn_logit_softcapping", {"attn_logit_softcapping": -1.0})],
            embedding=0.06,
            **size(72, 2, 4, 2),
            adds_bos=True,
            head_dim=16,
            hidden_act="gelu_pytorch_tanh",
            hidden_activation="gelu_pytorch_tanh",
            query_pre_attn_scalar=18,
            rope_theta=10000.0,
            sliding_window=WINDOW,
            attn_logit_softcapping=2.0,
            final_logit_softcapping=6.0,
        ),
        tiny(
            "gemma2",
            "types-uncapped",
            "Gemma2ForCausalLM",
            depends_on={"layer_types": None},
            embedding=0.06,
            dtype="F32",
            **size(64, 3, 4, 1),
            adds_bos=True,
            head_dim=32,
            hidden_activation="gelu_pytorch_tanh",
            query_pre_attn_scalar=16,
            attention_bias=True,
            rope_theta=1000.0,
            sliding_window=WINDOW,
            layer_types=["full_attention", "sliding_attention", "sliding_attention"],
            attn_logit_softcapping=None,
            final_logit_softcapping=None,
        ),
    ),
)
