"""Mistral."""

from __future__ import annotations

from tiny.model import PIXTRAL, WINDOW, TinyFamily, TinyGguf, size, tiny
from tiny.tokenizer import VOCAB_SIZE

FAMILY = TinyFamily(
    "mistral",
    gguf=TinyGguf("LLAMA", interleaved=True),
    models=(
        tiny(
            "mistral",
            "window-untied",
            "MistralForCausalLM",
            gguf={},
            depends_on={"sliding_window": None},
            unsupported=[("layer_types", {"layer_types": ["full_attention"] * 2})],
            **size(64, 2, 4, 2),
            adds_bos=True,
            hidden_act="silu",
            rope_theta=10000.0,
            sliding_window=WINDOW,
            tie_word_embeddings=False,
        ),
        tiny(
            "mistral",
            "head-dim-tied",
            "MistralForCausalLM",
            dtype="F32",
            **size(64, 2, 4, 1),
            adds_bos=True,
            head_dim=24,
            hidden_act="silu",
            rope_theta=1000000.0,
            sliding_window=None,
            tie_word_embeddings=True,
        ),
        tiny(
            "mistral3",
            "vision-mistral-untied",
            "Mistral3ForConditionalGeneration",
            depends_on={"text_config/sliding_window": 11},
            dtype="F16",
            prefix="model.language_model.",
            text_config={
                "model_type": "mistral",
                **size(64, 2, 4, 2),
                "head_dim": 16,
                "vocab_size": VOCAB_SIZE,
                "rms_norm_eps": 1e-5,
                "rope_theta": 10000.0,
                "sliding_window": WINDOW,
            },
            vision_config=PIXTRAL,
            spatial_merge_size=2,
            image_token_index=VOCAB_SIZE - 1,
            tie_word_embeddings=False,
        ),
    ),
)
