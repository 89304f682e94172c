"""Ministral 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiny.model import PIXTRAL, WINDOW, TinyFamily, TinyGguf, size, tiny
from tiny.tokenizer import VOCAB_SIZE


def _parameters(writer: Any, config: Mapping[str, Any]) -> None:
    writer.add_attn_temperature_scale(config["rope_scaling"]["llama_4_scaling_beta"])
    writer.add_rope_scaling_yarn_log_mul(config["rope_scaling"]["mscale_all_dim"])


FAMILY = TinyFamily(
    "ministral3",
    gguf=TinyGguf("MISTRAL3", interleaved=True, parameters=_parameters),
    models=(
        tiny(
            "ministral3",
            "yarn-window-untied",
            "Ministral3ForCausalLM",
            gguf={
                "rope_parameters": None,
                "rope_theta": 10000.0,
                "rope_scaling": {
                    "rope_type": "yarn",
                    "factor": 16.0,
                    "original_max_position_embeddings": 16,
                    "beta_fast": 32.0,
                    "beta_slow": 1.0,
                    "mscale_all_dim": 0.7,
                    "mscale": 1.0,
                    "llama_4_scaling_beta": 0.4,
                },
            },
            depends_on={
                "sliding_window": 11,
                "rope_parameters/llama_4_scaling_beta": 0.1,
                "rope_parameters/original_max_position_embeddings": 7,
            },
            unsupported=[
                ("layer_types", {"layer_types": ["full_attention"] * 2}),
                ("rope_parameters.llama_4_scaling_beta", {"rope_parameters": {}}),
            ],
            dtype="F32",
            **size(64, 2, 4, 2),
            head_dim=24,
            hidden_act="silu",
            rope_parameters={
                "rope_type": "yarn",
                "rope_theta": 10000.0,
                "factor": 16.0,
                "original_max_position_embeddings": 16,
                "max_position_embeddings": 2048,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "mscale_all_dim": 1.0,
                "mscale": 1.0,
                "llama_4_scaling_beta": 0.4,
            },
            sliding_window=WINDOW,
            pad_token_id=0,
            tie_word_embeddings=False,
        ),
        tiny(
            "ministral3",
            "type-tied",
            "Ministral3ForCausalLM",
            depends_on={
                "rope_parameters/llama_4_scaling_beta": 0.4,
                "rope_parameters/attention_factor": 1.0,
            },
            **size(64, 2, 4, 1),
            head_dim=16,
            hidden_act="silu",
            rope_parameters={
                "type": "yarn",
                "rope_theta": 1000000.0,
                "factor": 8.0,
                "attention_factor": 0.8,
                "original_max_position_embeddings": 20,
                "llama_4_scaling_beta": 0.1,
            },
            sliding_window=None,
            pad_token_id=0,
            tie_word_embeddings=True,
        ),
        tiny(
            "mistral3",
            "vision-yarn",
            "Mistral3ForConditionalGeneration",
            depends_on={"text_config/rope_parameters/llama_4_scaling_beta": 0.4},
            unsupported=[("text_config.hidden_act", {"text_config/hidden_act": "silly"})],
            embedding=0.06,
            prefix="language_model.model.",
            text_config={
                "model_type": "ministral3",
                **size(64, 2, 4, 2),
                "head_dim": 24,
                "hidden_act": "silu",
                "vocab_size": VOCAB_SIZE,
                "rms_norm_eps": 1e-5,
                "max_position_embeddings": 2048,
                "rope_parameters": {
                    "type": "yarn",
                    "rope_theta": 10000.0,
                    "factor": 16.0,
                    "original_max_position_embeddings": 16,
                    "mscale_all_dim": 1.0,
                    "mscale": 1.0,
                    "llama_4_scaling_beta": 0.1,
                },
                "sliding_window": None,
                "pad_token_id": 0,
            },
            vision_config=PIXTRAL,
            spatial_merge_size=2,
            image_token_index=VOCAB_SIZE - 1,
        ),
    ),
)
