"""Gemma 4 12B, whose type differs from that of the others."""

from __future__ import annotations

from tiny.families.gemma4 import gemma4_layer
from tiny.model import WINDOW, TinyFamily, size, tiny
from tiny.tokenizer import VOCAB_SIZE

_FULL, _SLIDING = "full_attention", "sliding_attention"

FAMILY = TinyFamily(
    "gemma4_unified_text",
    each_layer=gemma4_layer,
    factors={"q_norm.weight": 0.3},  # instead of a scale of scores
    tied=True,
    models=(
        tiny(
            "gemma4_unified_text",
            "k-eq-v",
            "Gemma4UnifiedForCausalLM",
            depends_on={"final_logit_softcapping": None, "sliding_window": 11},
            unsupported=[("hidden_size_per_layer_input", {"hidden_size_per_layer_input": 8})],
            embedding=0.06,
            **size(64, 3, 4, 2),
            adds_bos=True,
            head_dim=16,
            global_head_dim=32,
            num_global_key_value_heads=1,
            attention_k_eq_v=True,
            hidden_activation="gelu_pytorch_tanh",
            layer_types=[_SLIDING, _SLIDING, _FULL],
            sliding_window=WINDOW,
            final_logit_softcapping=6.0,
        ),
        tiny(
            "gemma4_unified",
            "shared-wide",
            "Gemma4UnifiedForConditionalGeneration",
            depends_on={"text_config/sliding_window": 11},
            embedding=0.06,
            dtype="F32",
            adds_bos=True,
            prefix="model.language_model.",
            text_config={
                "model_type": "gemma4_unified_text",
                **size(64, 4, 4, 1),
                "head_dim": 16,
                "per_layer_config": {"1": {"head_dim": 32}, "3": {"head_dim": 32}},
                "vocab_size": VOCAB_SIZE,
                "layer_types": [_SLIDING, _FULL, _SLIDING, _FULL],
                "num_kv_shared_layers": 2,
                "use_double_wide_mlp": True,
                "sliding_window": WINDOW,
            },
            vision_config=None,
            audio_config=None,
        ),
    ),
)
