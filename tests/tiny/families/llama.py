"""Llama."""

from __future__ import annotations

from tiny.model import TinyFamily, TinyGguf, size, tiny

FAMILY = TinyFamily(
    "llama",
    gguf=TinyGguf("LLAMA", interleaved=True),
    models=(
        tiny(
            "llama",
            "gqa-tied",
            "LlamaForCausalLM",
            gguf={},
            depends_on={"rms_norm_eps": 0.0001},
            **size(64, 2, 4, 2),
            adds_bos=True,
            hidden_act="silu",
            rope_theta=10000.0,
            tie_word_embeddings=True,
        ),
        tiny(
            "llama",
            "bias-untied-linear",
            "LlamaForCausalLM",
            gguf={},
            depends_on={"rope_scaling": None},
            dtype="F32",
            **size(96, 2, 6, 2),
            hidden_act="silu",
            attention_bias=True,
            mlp_bias=True,
            rope_theta=5000.0,
            rope_scaling={"type": "linear", "factor": 4.0},
            tie_word_embeddings=False,
        ),
        tiny(
            "llama",
            "llama3-f16-sharded",
            "LlamaForCausalLM",
            depends_on={
                "rope_parameters/rope_type": "default",
                "rope_parameters/high_freq_factor": 3.0,
                "rope_parameters/low_freq_factor": 2.0,
            },
            dtype="F16",
            shards=3,
            **size(64, 3, 4, 1),
            adds_bos=True,
            head_dim=24,
            hidden_act="silu",
            rope_parameters={
                "rope_type": "llama3",
                "rope_theta": 1000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
            tie_word_embeddings=False,
        ),
        tiny(
            "llama",
            "yarn-gelu",
            "LlamaForCausalLM",
            depends_on={
                "rope_scaling/beta_fast": 32.0,
                "rope_scaling/beta_slow": 2.0,
                "rope_scaling/factor": 4.1,
                "hidden_act": "gelu_new",
            },
            **size(64, 2, 2, 2),
            hidden_act="gelu",
            rope_theta=10000.0,
            rope_scaling={
                "rope_type": "yarn",
                "factor": 4.0,
                "original_max_position_embeddings": 64,
                "beta_fast": 4.0,
                "beta_slow": 1.0,
            },
            tie_word_embeddings=True,
        ),
    ),
)
