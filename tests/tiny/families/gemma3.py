"""Gemma 3."""

from __future__ import annotations

from functools import partial

from tiny.model import WINDOW, TinyFamily, TinyGguf, size, tiny
from tiny.tensors import SANDWICH_NORMS, layer_tensors
from tiny.tokenizer import VOCAB_SIZE

_VISION = {
    "hidden_size": 16,
    "image_size": 28,
    "intermediate_size": 32,
    "model_type": "siglip_vision_model",
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "patch_size": 14,
    "vision_use_head": False,
}

FAMILY = TinyFamily(
    "gemma3_text",
    layer=partial(layer_tensors, norms=SANDWICH_NORMS, qk_norm="head"),
    norm_offset=1.0,
    tied=True,
    gguf=TinyGguf("GEMMA3"),
    models=(
        tiny(
            "gemma3_text",
            "pattern-linear",
            "Gemma3ForCausalLM",
            gguf={"query_pre_attn_scalar": 16, "sliding_window_pattern": 6},
            depends_on={
                "rope_scaling": None,
                "rope_local_base_freq": 9000.0,
                "sliding_window": 11,
                "sliding_window_pattern": 2,
                "query_pre_attn_scalar": 23,
            },
            unsupported=[
                ("use_bidirectional_attention", {"use_bidirectional_attention": True}),
                ("query_pre_attn_scalar", {"query_pre_attn_scalar": 0}),
                ("query_pre_attn_scalar", {"query_pre_attn_scalar": 2.5}),
                ("sliding_window", {"sliding_window": 0}),
            ],
            embedding=0.06,
            **size(72, 3, 4, 1),
            adds_bos=True,
            head_dim=16,
            hidden_activation="gelu_pytorch_tanh",
            query_pre_attn_scalar=24,
            rope_theta=1000000.0,
            rope_local_base_freq=10000.0,
            rope_scaling={"rope_type": "linear", "factor": 8.0},
            sliding_window=WINDOW,
            sliding_window_pattern=3,
            attn_logit_softcapping=None,
            final_logit_softcapping=None,
            tie_word_embeddings=True,
        ),
        tiny(
            "gemma3_text",
            "types-softcap",
            "Gemma3ForCausalLM",
            depends_on={
                "final_logit_softcapping": None,
                "rope_parameters/full_attention/rope_theta": 90000.0,
            },
            unsupported=[
                (
                    "rope_parameters",
                    {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
                )
            ],
            embedding=0.06,
            dtype="F32",
            **size(64, 4, 4, 2),
            adds_bos=True,
            head_dim=32,
            hidden_activation="gelu_pytorch_tanh",
            query_pre_attn_scalar=32,
            attention_bias=True,
            layer_types=[
                "sliding_attention",
                "full_attention",
                "full_attention",
                "sliding_attention",
            ],
            rope_parameters={
                "full_attention": {"rope_type": "default", "rope_theta": 100000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1000.0},
            },
            sliding_window=WINDOW,
            final_logit_softcapping=6.0,
        ),
        tiny(
            "gemma3",
            "vision",
            "Gemma3ForConditionalGeneration",
            depends_on={"text_config/rope_scaling": None, "text_config/sliding_window_pattern": 3},
            unsupported=[
                ("text_config.hidden_activation", {"text_config/hidden_activation": "silly"})
            ],
            embedding=0.06,
            adds_bos=True,
            prefix="language_model.model.",
            text_config={
                "model_type": "gemma3_text",
                **size(64, 2, 4, 2),
                "head_dim": 16,
                "vocab_size": VOCAB_SIZE,
                "query_pre_attn_scalar": 16,
                "sliding_window": WINDOW,
                "sliding_window_pattern": 2,
                "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            },
            vision_config=_VISION,
            mm_tokens_per_image=4,
            image_token_index=VOCAB_SIZE - 1,
        ),
        tiny(
            "gemma3",
            "vision-renamed",
            "Gemma3ForConditionalGeneration",
            depends_on={"text_config/rope_parameters/full_attention/factor": 4.0},
            embedding=0.06,
            dtype="F16",
            shards=2,
            adds_bos=True,
            prefix="model.language_model.",
            text_config={
                "model_type": "gemma3_text",
                **size(64, 2, 2, 1),
                "head_dim": 32,
                "vocab_size": VOCAB_SIZE,
                "query_pre_attn_scalar": 32,
                "sliding_window": WINDOW,
                "layer_types": ["full_attention", "sliding_attention"],
                "rope_parameters": {
                    "full_attention": {
                        "rope_type": "linear",
                        "factor": 8.0,
                        "rope_theta": 1000000.0,
                    },
                    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
                },
            },
            vision_config=_VISION,
            mm_tokens_per_image=4,
            image_token_index=VOCAB_SIZE - 1,
        ),
    ),
)
