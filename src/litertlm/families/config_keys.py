"""Keys of config.json that a family does not read: harmless, refused, or unknown.

A key of transformers' config class with a value other than its default changes the result there.
reference_keys.json lists these keys and their defaults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from litertlm.families.config_reader import ConfigReader

# How transformers trains or runs a model, and what it returns; and token ids, which are read where
# prompts are.
_HARMLESS = re.compile(
    r"_?name_or_path|_attn_implementation|architectures|auto_map|chunk_size_feed_forward|dtype"
    r"|id2label|initializer_range|label2id|model_type|num_labels|output_\w+|pretraining_tp"
    r"|problem_type|return_dict|torch_dtype|transformers_version|use_cache|\w+_dropout|\w+_pdrop|\w+_token_id"
    r"|quantization_config|compression_config"  # read by checkpoint/quantized
)
# Keys that transformers has in a config class and does not use in a model that is converted.
_UNUSED: Mapping[str, frozenset[str]] = {
    "gemma3_text": frozenset({"attn_logit_softcapping", "_sliding_window_pattern"}),
    # Only with Mamba layers or experts, which the family refuses.
    "granitemoehybrid": frozenset(
        {
            "mamba_chunk_size",
            "mamba_conv_bias",
            "mamba_d_conv",
            "mamba_d_state",
            "mamba_n_groups",
            "mamba_proj_bias",
            "num_experts_per_tok",
            "router_aux_loss_coef",
        }
    ),
}
# Sizes that transformers computes from others where they are null, but not for these models.
_GEMMA = ("gemma", "gemma2", "gemma3_text", "gemma3n_text", "gemma4_text", "gemma4_unified_text")
_NOT_NULL: Mapping[str, frozenset[str]] = {
    "head_dim": frozenset({*_GEMMA, "glm", "glm4", "helium", "lfm3", "ministral3", "qwen3"}),
    "num_key_value_heads": frozenset(
        {
            *(*_GEMMA, "exaone4", "glm", "glm4", "helium", "lfm2", "lfm3", "ministral3", "mistral"),
            *("stablelm", "starcoder2"),
        }
    ),
}
# Keys that transformers reads for every model, whatever its class. The last three change which
# keys and values its cache keeps.
_EVERY_MODEL: Mapping[str, Any] = {
    "per_layer_config": None,
    "attention_chunk_size": None,
    "layer_types": None,
    "sliding_window": None,
}


def is_harmless(key: str) -> bool:
    """Whether a key of config.json does not change what a model computes."""
    return _HARMLESS.fullmatch(key) is not None


def check_nulls(config: ConfigReader, model_type: str) -> None:
    """Raises UnsupportedModel for a size that is null and must not be."""
    for key, types in _NOT_NULL.items():
        if key in config.values and config.values[key] is None and model_type in types:
            raise config.unsupported(key, "is null")


def unknown_keys(config: ConfigReader, model_type: str) -> tuple[str, ...]:
    """The keys that neither the family nor transformers reads.

    Args:
        config: the reader from which the family has read its config.

    Raises:
        UnsupportedModel: a key that transformers reads, with a value that is not its default.
    """
    unread = [
        key
        for key in config.unread()
        if not is_harmless(key)
        and key not in _UNUSED.get(model_type, ())
        and not _sees_everything(key, config)
    ]
    if not unread:
        return ()
    from litertlm.families.reference_keys import KEYS  # few configs need it

    known = {**_EVERY_MODEL, **KEYS[model_type]}
    for key in unread:
        if key in known and config.values[key] != known[key]:
            value = f"{config.values[key]!r:.100}"
            raise config.unsupported(key, f"is {value}; only {known[key]!r} is supported here")
    return tuple(f"{config.prefix}{key}" for key in unread if key not in known)


def _sees_everything(key: str, config: ConfigReader) -> bool:
    """Whether the value of a key about windows lets every token see all before it."""
    value = config.values[key]
    if key == "layer_types":
        return bool(value == ["full_attention"] * config.size("num_hidden_layers", most=1024))
    longest = config.values.get("max_position_embeddings")
    if key == "sliding_window" and type(value) is int and type(longest) is int:
        return value >= longest
    return False
