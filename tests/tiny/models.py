"""The tiny configurations: at least two for each family, so that every feature is exercised once.

Configs are spelled as checkpoints on the Hub spell them: some in the keys of transformers 4
(`rope_theta`, `rope_scaling`), some in those of transformers 5 (`rope_parameters`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tiny.tokenizer import BOS, EOS, IM_END, VOCAB_SIZE

WINDOW = 12  # tokens; shorter than the longer prompts of the goldens


@dataclass(frozen=True)
class TinyModel:
    """One tiny checkpoint.

    Attributes:
        name: key in MODELS, `<model_type>-<what is special>`.
        config: config.json.
        dtype: how tensors are stored: `BF16`, `F16` or `F32`.
        shards: number of safetensors files (an index is written when above 1).
        adds_bos: whether the tokenizer puts `<bos>` first.
        prefix: what text tensor names start with, in place of `model.`.
        embedding: largest absolute value in the embedding; smaller where a family scales it up,
            so that a tied head does not just repeat the last token (the last norm makes up for it).
    """

    name: str
    config: Mapping[str, Any]
    dtype: str = "BF16"
    shards: int = 1
    adds_bos: bool = False
    prefix: str = "model."
    embedding: float = 0.6

    @property
    def text_config(self) -> Mapping[str, Any]:
        """The config of the language model: `text_config` of a multimodal one."""
        text: Mapping[str, Any] = self.config.get("text_config", self.config)
        return text


_TORCH_DTYPE = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
_ARCHITECTURE = {
    "llama": "LlamaForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
    "gemma3": "Gemma3ForConditionalGeneration",
    "qwen2": "Qwen2ForCausalLM",
    "mistral": "MistralForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "smollm3": "SmolLM3ForCausalLM",
    "olmo2": "Olmo2ForCausalLM",
    "granite": "GraniteForCausalLM",
    "phi3": "Phi3ForCausalLM",
}


def _tiny(
    model_type: str,
    what: str,
    *,
    dtype: str = "BF16",
    shards: int = 1,
    adds_bos: bool = False,
    prefix: str = "model.",
    embedding: float = 0.6,
    **config: Any,
) -> TinyModel:
    common = {
        "architectures": [_ARCHITECTURE[model_type]],
        "model_type": model_type,
        "torch_dtype": _TORCH_DTYPE[dtype],
        "bos_token_id": BOS,
        "eos_token_id": [EOS, IM_END],
    }
    if "text_config" not in config:
        common |= {"vocab_size": VOCAB_SIZE, "rms_norm_eps": 1e-5, "max_position_embeddings": 2048}
    return TinyModel(
        f"{model_type}-{what}", common | config, dtype, shards, adds_bos, prefix, embedding
    )


def _size(hidden: int, layers: int, heads: int, kv_heads: int, *, mlp: int = 96) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "intermediate_size": mlp,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
    }


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

_ALL = (
    _tiny(
        "llama",
        "gqa-tied",
        **_size(64, 2, 4, 2),
        adds_bos=True,
        hidden_act="silu",
        rope_theta=10000.0,
        tie_word_embeddings=True,
    ),
    _tiny(
        "llama",
        "bias-untied-linear",
        dtype="F32",
        **_size(96, 2, 6, 2),
        hidden_act="silu",
        attention_bias=True,
        mlp_bias=True,
        rope_theta=5000.0,
        rope_scaling={"type": "linear", "factor": 4.0},
        tie_word_embeddings=False,
    ),
    _tiny(
        "llama",
        "llama3-f16-sharded",
        dtype="F16",
        shards=3,
        **_size(64, 3, 4, 1),
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
    _tiny(
        "llama",
        "yarn-gelu",
        **_size(64, 2, 2, 2),
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
    _tiny(
        "qwen3",
        "gqa-tied",
        **_size(64, 2, 4, 2),
        head_dim=32,
        hidden_act="silu",
        rope_theta=1000000,
        rope_scaling=None,
        use_sliding_window=False,
        sliding_window=None,
        max_window_layers=2,
        tie_word_embeddings=True,
    ),
    _tiny(
        "qwen3",
        "sliding-yarn-untied",
        dtype="F32",
        **_size(64, 3, 4, 1),
        head_dim=16,
        hidden_act="silu",
        attention_bias=True,
        rope_theta=10000.0,
        rope_scaling={
            "rope_type": "yarn",
            "factor": 2.0,
            "original_max_position_embeddings": 1024,
            "attention_factor": 1.25,
        },
        use_sliding_window=True,
        sliding_window=WINDOW,
        max_window_layers=1,
        tie_word_embeddings=False,
    ),
    _tiny(
        "gemma3_text",
        "pattern-linear",
        embedding=0.06,
        **_size(72, 3, 4, 1),
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
    _tiny(
        "gemma3_text",
        "types-softcap",
        embedding=0.06,
        dtype="F32",
        **_size(64, 4, 4, 2),
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
    _tiny(
        "gemma3",
        "vision",
        embedding=0.06,
        adds_bos=True,
        prefix="language_model.model.",
        text_config={
            "model_type": "gemma3_text",
            **_size(64, 2, 4, 2),
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
    _tiny(
        "gemma3",
        "vision-renamed",
        embedding=0.06,
        dtype="F16",
        shards=2,
        adds_bos=True,
        prefix="model.language_model.",
        text_config={
            "model_type": "gemma3_text",
            **_size(64, 2, 2, 1),
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
    _tiny(
        "qwen2",
        "bias-tied",
        **_size(64, 2, 4, 2),
        hidden_act="silu",
        rope_theta=1000000.0,
        use_sliding_window=False,
        sliding_window=WINDOW,
        max_window_layers=0,
        tie_word_embeddings=True,
    ),
    _tiny(
        "qwen2",
        "sliding-untied",
        dtype="F16",
        **_size(96, 3, 3, 1),
        hidden_act="silu",
        rope_theta=10000.0,
        use_sliding_window=True,
        sliding_window=WINDOW,
        max_window_layers=2,
        tie_word_embeddings=False,
    ),
    _tiny(
        "mistral",
        "window-untied",
        **_size(64, 2, 4, 2),
        adds_bos=True,
        hidden_act="silu",
        rope_theta=10000.0,
        sliding_window=WINDOW,
        tie_word_embeddings=False,
    ),
    _tiny(
        "mistral",
        "head-dim-tied",
        dtype="F32",
        **_size(64, 2, 4, 1),
        adds_bos=True,
        head_dim=24,
        hidden_act="silu",
        rope_theta=1000000.0,
        sliding_window=None,
        tie_word_embeddings=True,
    ),
    _tiny(
        "gemma2",
        "softcaps",
        embedding=0.06,
        **_size(72, 2, 4, 2),
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
    _tiny(
        "gemma2",
        "types-uncapped",
        embedding=0.06,
        dtype="F32",
        **_size(64, 3, 4, 1),
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
    _tiny(
        "smollm3",
        "nope-tied",
        **_size(64, 4, 4, 2),
        hidden_act="silu",
        rope_theta=5000000.0,
        no_rope_layer_interval=2,
        use_sliding_window=False,
        sliding_window=None,
        pad_token_id=0,
        tie_word_embeddings=True,
    ),
    _tiny(
        "smollm3",
        "sliding-bias-untied",
        dtype="F32",
        **_size(64, 3, 4, 4),
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
    _tiny(
        "olmo2",
        "mha-untied",
        dtype="F32",
        **_size(64, 2, 4, 4),
        hidden_act="silu",
        rope_theta=500000,
        pad_token_id=0,
        tie_word_embeddings=False,
    ),
    _tiny(
        "olmo2",
        "bias-linear-tied",
        **_size(96, 3, 6, 2),
        hidden_act="silu",
        attention_bias=True,
        rope_theta=10000.0,
        rope_scaling={"rope_type": "linear", "factor": 2.0},
        pad_token_id=0,
        tie_word_embeddings=True,
    ),
    _tiny(
        "granite",
        "multipliers-tied",
        embedding=0.2,
        **_size(64, 2, 4, 2),
        hidden_act="silu",
        rope_theta=10000.0,
        embedding_multiplier=3.0,
        attention_multiplier=0.125,
        residual_multiplier=0.9,
        logits_scaling=0.75,
        tie_word_embeddings=True,
    ),
    _tiny(
        "granite",
        "bias-untied",
        dtype="F16",
        **_size(64, 3, 4, 1),
        hidden_act="silu",
        attention_bias=True,
        mlp_bias=True,
        rope_theta=10000.0,
        embedding_multiplier=1.5,
        attention_multiplier=0.5,
        residual_multiplier=0.75,
        logits_scaling=1.5,
        tie_word_embeddings=False,
    ),
    _tiny(
        "phi3",
        "window-untied",
        **_size(64, 2, 4, 4),
        hidden_act="silu",
        rope_theta=10000.0,
        rope_scaling=None,
        original_max_position_embeddings=2048,
        pad_token_id=0,
        sliding_window=WINDOW,
        tie_word_embeddings=False,
    ),
    _tiny(
        "phi3",
        "partial-longrope-tied",
        dtype="F32",
        **_size(64, 3, 2, 1),
        hidden_act="silu",
        rope_theta=10000.0,
        partial_rotary_factor=0.75,
        rope_scaling={
            "type": "longrope",
            "short_factor": [1.0, 1.0, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2.0, 2.5],
            "long_factor": [1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0],
        },
        original_max_position_embeddings=256,
        pad_token_id=0,
        sliding_window=None,
        tie_word_embeddings=True,
    ),
)

MODELS = {model.name: model for model in _ALL}
