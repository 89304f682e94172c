"""The config keys that only one GGUF architecture has: the `extend` of gguf_architectures.py.

Values that llama.cpp does not store because its model code fixes them (layer patterns, activations,
scales of the largest models) are those of https://github.com/ggml-org/llama.cpp/tree/master/src/models.
"""

from __future__ import annotations

from litertlm.checkpoint.gguf_config import ArchitectureKeys, Config, as_decimal
from litertlm.errors import UnsupportedModel


def extend_llama(keys: ArchitectureKeys, config: Config) -> None:
    # llama.cpp has one architecture for Llama and Mistral; only Mistral has windows.
    if keys.has("attention.sliding_window"):
        config["model_type"] = "mistral"
        config["architectures"] = ["MistralForCausalLM"]
        config["sliding_window"] = keys.integer("attention.sliding_window")


def extend_qwen2(keys: ArchitectureKeys, config: Config) -> None:
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


def extend_gemma2(keys: ArchitectureKeys, config: Config) -> None:
    _gemma(keys, config, largest=46)
    config["sliding_window"] = keys.integer("attention.sliding_window", 4096)
    config["layer_types"] = _layer_types(config["num_hidden_layers"], 2)


def extend_gemma3(keys: ArchitectureKeys, config: Config) -> None:
    _gemma(keys, config, largest=62)
    config["rope_theta"] = keys.number("rope.freq_base", 1_000_000.0)
    config["rope_local_base_freq"] = keys.number("rope.freq_base_swa", 10_000.0)
    config["sliding_window"] = keys.integer("attention.sliding_window")
    config["layer_types"] = _layer_types(config["num_hidden_layers"], 6)


def extend_smollm3(keys: ArchitectureKeys, config: Config) -> None:
    # 1 where a layer has rotary embeddings; llama.cpp fixes the interval.
    config["no_rope_layer_interval"] = 4
    config["no_rope_layers"] = [
        int((layer + 1) % 4 != 0) for layer in range(config["num_hidden_layers"])
    ]


def _patterned_types(keys: ArchitectureKeys, config: Config, period: int) -> list[str]:
    """Which layers have a window: as stored, else all except every `period`-th one."""
    layers, key = config["num_hidden_layers"], "attention.sliding_window_pattern"
    if not keys.has(key):
        return _layer_types(layers, period)
    sliding = keys.flags(key, layers)
    return ["sliding_attention" if flag else "full_attention" for flag in sliding]


def extend_olmo2(keys: ArchitectureKeys, config: Config) -> None:
    # llama.cpp has one architecture for OLMo 2 and 3; only OLMo 3 has windows.
    if keys.has("attention.sliding_window"):
        config["model_type"] = "olmo3"
        config["architectures"] = ["Olmo3ForCausalLM"]
        config["sliding_window"] = keys.integer("attention.sliding_window")
        config["layer_types"] = _patterned_types(keys, config, 4)


def extend_exaone4(keys: ArchitectureKeys, config: Config) -> None:
    config["sliding_window"] = keys.integer("attention.sliding_window", 0) or None
    if config["sliding_window"] is not None:
        config["layer_types"] = _patterned_types(keys, config, 4)


def extend_cohere2(keys: ArchitectureKeys, config: Config) -> None:
    config["layer_norm_eps"] = config.pop("rms_norm_eps")
    config["logit_scale"] = keys.number("logit_scale")
    config["sliding_window"] = keys.integer("attention.sliding_window")
    config["layer_types"] = _patterned_types(keys, config, 4)


def extend_gemma1(keys: ArchitectureKeys, config: Config) -> None:
    config["hidden_act"] = "gelu_pytorch_tanh"
    config["tie_word_embeddings"] = True


def extend_seed_oss(keys: ArchitectureKeys, config: Config) -> None:
    config["attention_out_bias"] = "blk.0.attn_output.bias" in keys.file.tensors


def extend_ernie4_5(keys: ArchitectureKeys, config: Config) -> None:
    config["use_bias"] = config.pop("attention_bias")


def extend_glm(keys: ArchitectureKeys, config: Config) -> None:
    config["attention_bias"] |= "blk.0.attn_qkv.bias" in keys.file.tensors
    config.setdefault("partial_rotary_factor", 1.0)  # the family has another default


def extend_glm4(keys: ArchitectureKeys, config: Config) -> None:
    if keys.has("rope.dimension_sections"):
        raise UnsupportedModel(
            "The text model of a GLM-4 with vision is not supported as a GGUF file.",
            why=f"{keys.file.path} has glm4.rope.dimension_sections.",
        )
    config.setdefault("partial_rotary_factor", 1.0)  # the family has another default


def extend_arcee(keys: ArchitectureKeys, config: Config) -> None:
    config["hidden_act"] = "relu2"


def extend_nemotron(keys: ArchitectureKeys, config: Config) -> None:
    config["hidden_act"] = "relu2"
    config["norm_eps"] = config["rms_norm_eps"]
    config.setdefault("partial_rotary_factor", 1.0)  # the family has another default


def extend_olmo(keys: ArchitectureKeys, config: Config) -> None:
    if keys.has("attention.clamp_kqv"):
        config["clip_qkv"] = keys.number("attention.clamp_kqv")


def extend_stablelm(keys: ArchitectureKeys, config: Config) -> None:
    config["layer_norm_eps"] = config["rms_norm_eps"]
    config["use_qkv_bias"] = config["attention_bias"]
    # As llama.cpp finds out; the key is true in models that have no such key.
    config["use_parallel_residual"] = "blk.0.ffn_norm.weight" not in keys.file.tensors
    config.setdefault("partial_rotary_factor", 1.0)


def extend_starcoder2(keys: ArchitectureKeys, config: Config) -> None:
    # llama.cpp stores no window and has none.
    config["hidden_act"] = "gelu_pytorch_tanh"
    config["norm_epsilon"] = config["rms_norm_eps"]
    config["use_bias"] = config["attention_bias"]


def extend_phi2(keys: ArchitectureKeys, config: Config) -> None:
    config["hidden_act"] = "gelu_new"
    config["layer_norm_eps"] = config["rms_norm_eps"]
    config.setdefault("partial_rotary_factor", 1.0)


def extend_mistral3(keys: ArchitectureKeys, config: Config) -> None:
    # Ministral 3, and Mistral Small 3, whose queries do not grow with the position.
    config["sliding_window"] = keys.integer("attention.sliding_window", 0) or None
    if not keys.has("attention.temperature_scale"):
        config["model_type"], config["architectures"] = "mistral", ["MistralForCausalLM"]
        return
    config["rope_scaling"] = {
        **config.get("rope_scaling", {}),
        "llama_4_scaling_beta": keys.number("attention.temperature_scale"),
        # Not stored: llama.cpp takes it to be 1 (llama-context.cpp, `yarn_attn_factor`).
        "mscale": 1.0,
        "mscale_all_dim": keys.number("rope.scaling.yarn_log_multiplier"),
    }


def extend_lfm2(keys: ArchitectureKeys, config: Config) -> None:
    counts = keys.counts("attention.head_count_kv", config["num_hidden_layers"])
    heads = config["num_key_value_heads"]
    if not set(counts) <= {0, heads}:
        raise UnsupportedModel(
            "lfm2.attention.head_count_kv differs between layers.",
            why=f"{keys.file.path} has {counts}.",
        )
    if keys.has("attention.sliding_window"):
        raise UnsupportedModel(
            "LFM2 with windows is not supported as a GGUF file.",
            why=f"{keys.file.path} has lfm2.attention.sliding_window.",
        )
    config.pop("hidden_act")  # the family has one only
    config["norm_eps"] = config.pop("rms_norm_eps")
    config["conv_L_cache"] = keys.integer("shortconv.l_cache")
    config["conv_bias"] = any(n.endswith("shortconv.in_proj.bias") for n in keys.file.tensors)
    config["layer_types"] = ["full_attention" if count else "conv" for count in counts]
    # The width of the MLP is stored as it is.
    config["block_auto_adjust_ff_dim"] = False


def extend_granite(keys: ArchitectureKeys, config: Config) -> None:
    if keys.file.values.get("granite.rope.scaling.finetuned") is False:  # how llama.cpp says so
        raise UnsupportedModel(
            "Granite without rotary positions is not supported as a GGUF file.",
            why=f"{keys.file.path} has granite.rope.scaling.finetuned = false.",
        )
    for key, name in (
        ("attention.scale", "attention_multiplier"),
        ("embedding_scale", "embedding_multiplier"),
        ("residual_scale", "residual_multiplier"),
        ("logit_scale", "logits_scaling"),
    ):
        config[name] = keys.number(key, 1.0)


def extend_phi3(keys: ArchitectureKeys, config: Config) -> None:
    config["sliding_window"] = keys.integer("attention.sliding_window", 0) or None
    original = keys.integer(
        "rope.scaling.original_context_length", config["max_position_embeddings"]
    )
    config["original_max_position_embeddings"] = original
    factors = _longrope_factors(keys)
    if factors:
        config["rope_scaling"] = factors


def extend_minicpm3(keys: ArchitectureKeys, config: Config) -> None:
    # llama.cpp stores no multipliers, and has those of the only published model.
    config |= {"scale_emb": 12.0, "scale_depth": 1.4, "dim_model_base": 256}
    config.pop("partial_rotary_factor", None)
    rotated, head_dim = keys.integer("rope.dimension_count"), config.pop("head_dim")
    config |= {"qk_rope_head_dim": rotated, "qk_nope_head_dim": head_dim - rotated}
    value_dim = config["hidden_size"] // config["num_attention_heads"]
    config["v_head_dim"] = keys.integer("attention.value_length", value_dim)
    config["kv_lora_rank"] = keys.integer("attention.kv_lora_rank")
    rank = "attention.q_lora_rank"
    config["q_lora_rank"] = keys.integer(rank) if keys.has(rank) else None
    factors = _longrope_factors(keys)
    if factors:
        trained = keys.integer(
            "rope.scaling.original_context_length", config["max_position_embeddings"]
        )
        config["rope_scaling"] = {**factors, "original_max_position_embeddings": trained}


def extend_apertus(keys: ArchitectureKeys, config: Config) -> None:
    config["hidden_act"] = "xielu"
    if "rope_scaling" not in config:  # the family's default is that of Llama 3
        rope = {"rope_type": "default", "rope_theta": config["rope_theta"]}
        config["rope_parameters"] = rope


def _longrope_factors(keys: ArchitectureKeys) -> Config:
    """LongRoPE's factors, which are tensors; empty where there are none."""
    tensors = keys.file.tensors
    factors = {
        f"{name}_factor": [as_decimal(f) for f in tensors[key].rows(0, tensors[key].shape[0])]
        for name in ("short", "long")
        if (key := f"rope_factors_{name}.weight") in tensors
    }
    return {"rope_type": "longrope", **factors} if factors else {}
