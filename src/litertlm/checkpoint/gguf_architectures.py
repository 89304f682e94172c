"""The supported GGUF architectures, and the config keys that only one of them has.

Values that llama.cpp does not store because its model code fixes them (layer patterns, activations,
scales of the largest models) are those of https://github.com/ggml-org/llama.cpp/tree/master/src/models.
"""

from __future__ import annotations

from litertlm.checkpoint.gguf_config import Architecture, ArchitectureKeys, Config, as_decimal
from litertlm.errors import UnsupportedModel


def _llama(keys: ArchitectureKeys, config: Config) -> None:
    # llama.cpp has one architecture for Llama and Mistral; only Mistral has windows.
    if keys.has("attention.sliding_window"):
        config["model_type"] = "mistral"
        config["architectures"] = ["MistralForCausalLM"]
        config["sliding_window"] = keys.integer("attention.sliding_window")


def _qwen2(keys: ArchitectureKeys, config: Config) -> None:
    config["use_sliding_window"] = False
    config.pop("attention_bias")  # the family always has it


def _gemma(keys: ArchitectureKeys, config: Config, *, largest: int) -> None:
    """The keys of Gemma 2 and 3; the model of `largest` layers has another query scale."""
    config.pop("hidden_act")
    config["hidden_activation"] = "gelu_pytorch_tanh"
    config["tie_word_embeddings"] = True
    config["query_pre_attn_scalar"] = (
        config["hidden_size"] // config["num_attention_heads"]
        if config["num_hidden_layers"] == largest
        else config["head_dim"]
    )
    for key in ("attn_logit_softcapping", "final_logit_softcapping"):
        config[key] = keys.number(key) if keys.has(key) else None


def _layer_types(layers: int, period: int) -> list[str]:
    """Sliding windows in all layers except every `period`-th one."""
    return [
        "full_attention" if (layer + 1) % period == 0 else "sliding_attention"
        for layer in range(layers)
    ]


def _gemma2(keys: ArchitectureKeys, config: Config) -> None:
    _gemma(keys, config, largest=46)
    config["sliding_window"] = keys.integer("attention.sliding_window", 4096)
    config["layer_types"] = _layer_types(config["num_hidden_layers"], 2)


def _gemma3(keys: ArchitectureKeys, config: Config) -> None:
    _gemma(keys, config, largest=62)
    config["rope_theta"] = keys.number("rope.freq_base", 1_000_000.0)
    config["rope_local_base_freq"] = keys.number("rope.freq_base_swa", 10_000.0)
    config["sliding_window"] = keys.integer("attention.sliding_window")
    config["layer_types"] = _layer_types(config["num_hidden_layers"], 6)


def _smollm3(keys: ArchitectureKeys, config: Config) -> None:
    # 1 where a layer has rotary embeddings; llama.cpp fixes the interval.
    config["no_rope_layer_interval"] = 4
    config["no_rope_layers"] = [
        int((layer + 1) % 4 != 0) for layer in range(config["num_hidden_layers"])
    ]


def _olmo2(keys: ArchitectureKeys, config: Config) -> None:
    if keys.has("attention.sliding_window"):
        raise UnsupportedModel(
            "OLMo 3 is not supported as a GGUF file.",
            why=f"{keys.file.path} has olmo2.attention.sliding_window.",
        )


def _granite(keys: ArchitectureKeys, config: Config) -> None:
    for key, name in (
        ("attention.scale", "attention_multiplier"),
        ("embedding_scale", "embedding_multiplier"),
        ("residual_scale", "residual_multiplier"),
        ("logit_scale", "logits_scaling"),
    ):
        config[name] = keys.number(key, 1.0)


def _phi3(keys: ArchitectureKeys, config: Config) -> None:
    config["sliding_window"] = keys.integer("attention.sliding_window", 0) or None
    original = keys.integer(
        "rope.scaling.original_context_length", config["max_position_embeddings"]
    )
    config["original_max_position_embeddings"] = original
    tensors = keys.file.tensors
    factors = {
        f"{name}_factor": [as_decimal(f) for f in tensors[key].rows(0, tensors[key].shape[0])]
        for name in ("short", "long")
        if (key := f"rope_factors_{name}.weight") in tensors
    }
    if factors:
        config["rope_scaling"] = {"rope_type": "longrope", **factors}


_SANDWICH_NORMS = {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}

ARCHITECTURES: dict[str, Architecture] = {
    a.name: a
    for a in (
        Architecture("llama", "llama", "LlamaForCausalLM", interleaved_rope=True, extend=_llama),
        Architecture("qwen2", "qwen2", "Qwen2ForCausalLM", extend=_qwen2),
        Architecture("qwen3", "qwen3", "Qwen3ForCausalLM"),
        Architecture(
            "gemma2",
            "gemma2",
            "Gemma2ForCausalLM",
            shifted_norms=True,
            layer_names=_SANDWICH_NORMS,
            extend=_gemma2,
        ),
        Architecture(
            "gemma3",
            "gemma3_text",
            "Gemma3ForCausalLM",
            shifted_norms=True,
            layer_names=_SANDWICH_NORMS,
            extend=_gemma3,
        ),
        Architecture(
            "smollm3", "smollm3", "SmolLM3ForCausalLM", interleaved_rope=True, extend=_smollm3
        ),
        Architecture(
            "olmo2", "olmo2", "Olmo2ForCausalLM", layer_names=_SANDWICH_NORMS, extend=_olmo2
        ),
        Architecture(
            "granite", "granite", "GraniteForCausalLM", interleaved_rope=True, extend=_granite
        ),
        Architecture(
            "phi3",
            "phi3",
            "Phi3ForCausalLM",
            layer_names={"ffn_up": "mlp.gate_up_proj"},
            extend=_phi3,
        ),
    )
}
