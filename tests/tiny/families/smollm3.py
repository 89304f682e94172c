"""SmolLM3."""

from __future__ import annotations

from tiny.model import WINDOW, TinyFamily, TinyGguf, size, tiny

FAMILY = TinyFamily(
    "smollm3",
    gguf=TinyGguf("SMOLLM3", interleaved=True),
    models=(
        tiny(
            "smollm3",
            "sliding-bias-untied",
            "SmolLM3ForCausalLM",
            depends_on={"no_rope_layers": [0, 1, 1], "sliding_window": 11},
            dtype="F32",
            **size(64, 3, 4, 4),
            hidden_act="silu",
            attention_bias=True,
            mlp_bias=True,
            rope_theta=10000.0,
            no_rope_layers=[0, 1, 0],
            use_sliding_window=True,
            sliding_window=WINDOW,
            pad_token_id=0,
            tie_word_embeddings=False,
        ),
        tiny(
            "smollm3",
            "nope-tied",
            "SmolLM3ForCausalLM",
            gguf={"no_rope_layer_interval": 4},
            depends_on={"no_rope_layer_interval": 3},
            unsupported=[("no_rope_layers", {"no_rope_layers": [1, 0, 2, 1]})],
            **size(64, 4, 4, 2),
            hidden_act="silu",
            rope_theta=5000000.0,
            no_rope_layer_interval=2,
            use_sliding_window=False,
            sliding_window=None,
            pad_token_id=0,
            tie_word_embeddings=True,
        ),
    ),
)
