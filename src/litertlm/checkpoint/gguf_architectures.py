"""The supported GGUF architectures, and the config keys that only one of them has.

Values that llama.cpp does not store because its model code fixes them (layer patterns, activations,
scales of the largest models) are those of https://github.com/ggml-org/llama.cpp/tree/master/src/models.
"""

from __future__ import annotations

from litertlm.checkpoint import gguf_gemma
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


def _patterned_types(keys: ArchitectureKeys, config: Config, period: int) -> list[str]:
    """Which layers have a window: as stored, else all except every `period`-th one."""
    layers, key = config["num_hidden_layers"], "attention.sliding_window_pattern"
    if not keys.has(key):
        return _layer_types(layers, period)
    sliding = keys.flags(key, layers)
    return ["sliding_attention" if flag else "full_attention" for flag in sliding]


def _olmo2(keys: ArchitectureKeys, config: Config) -> None:
    # llama.cpp has one architecture for OLMo 2 and 3; only OLMo 3 has windows.
    if keys.has("attention.sliding_window"):
        config["model_type"] = "olmo3"
        config["architectures"] = ["Olmo3ForCausalLM"]
        config["sliding_window"] = keys.integer("attention.sliding_window")
        config["layer_types"] = _patterned_types(keys, config, 4)


def _exaone4(keys: ArchitectureKeys, config: Config) -> None:
    config["sliding_window"] = keys.integer("attention.sliding_window", 0) or None
    if config["sliding_window"] is not None:
        config["layer_types"] = _patterned_types(keys, config, 4)


def _cohere2(keys: ArchitectureKeys, config: Config) -> None:
    config["layer_norm_eps"] = config.pop("rms_norm_eps")
    config["logit_scale"] = keys.number("logit_scale")
    config["sliding_window"] = keys.integer("attention.sliding_window")
    config["layer_types"] = _patterned_types(keys, config, 4)


def _gemma1(keys: ArchitectureKeys, config: Config) -> None:
    config["hidden_act"] = "gelu_pytorch_tanh"
    config["tie_word_embeddings"] = True


def _seed_oss(keys: ArchitectureKeys, config: Config) -> None:
    config["attention_out_bias"] = "blk.0.attn_output.bias" in keys.file.tensors


def _ernie4_5(keys: ArchitectureKeys, config: Config) -> None:
    config["use_bias"] = config.pop("attention_bias")


def _glm4(keys: ArchitectureKeys, config: Config) -> None:
    if keys.has("rope.dimension_sections"):
        raise UnsupportedModel(
            "The text model of a GLM-4 with vision is not supported as a GGUF file.",
            why=f"{keys.file.path} has glm4.rope.dimension_sections.",
        )
    config.setdefault("partial_rotary_factor", 1.0)  # the family has another default


def _arcee(keys: ArchitectureKeys, config: Config) -> None:
    config["hidden_act"] = "relu2"


def _nemotron(keys: ArchitectureKeys, config: Config) -> None:
    config["hidden_act"] = "relu2"
    config["norm_eps"] = config["rms_norm_eps"]
    config.setdefault("partial_rotary_factor", 1.0)  # the family has another default


def _olmo(keys: ArchitectureKeys, config: Config) -> None:
    if keys.has("attention.clamp_kqv"):
        config["clip_qkv"] = keys.number("attention.clamp_kqv")


def _stablelm(keys: ArchitectureKeys, config: Config) -> None:
    config["layer_norm_eps"] = config["rms_norm_eps"]
    config["use_qkv_bias"] = config["attention_bias"]
    # As llama.cpp finds out; the key is true in models that have no such key.
    config["use_parallel_residual"] = "blk.0.ffn_norm.weight" not in keys.file.tensors
    config.setdefault("partial_rotary_factor", 1.0)


def _starcoder2(keys: ArchitectureKeys, config: Config) -> None:
    # llama.cpp stores no window and has none.
    config["hidden_act"] = "gelu_pytorch_tanh"
    config["norm_epsilon"] = config["rms_norm_eps"]
    config["use_bias"] = config["attention_bias"]


def _phi2(keys: ArchitectureKeys, config: Config) -> None:
    config["hidden_act"] = "gelu_new"
    config["layer_norm_eps"] = config["rms_norm_eps"]
    config.setdefault("partial_rotary_factor", 1.0)


def _mistral3(keys: ArchitectureKeys, config: Config) -> None:
    # Ministral 3, and Mistral Small 3, whose queries do not grow with the position.
    config["sliding_window"] = keys.integer("attention.sliding_window", 0) or None
    if not keys.has("attention.temperature_scale"):
        config["model_type"], config["architectures"] = "mistral", ["MistralForCausalLM"]
        return
    # llama.cpp stores one of two values that are alike in all published models.
    scale = keys.number("rope.scaling.yarn_log_multiplier")
    config["rope_scaling"] = {
        **config.get("rope_scaling", {}),
        "llama_4_scaling_beta": keys.number("attention.temperature_scale"),
        "mscale": scale,
        "mscale_all_dim": scale,
    }


def _lfm2(keys: ArchitectureKeys, config: Config) -> None:
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


def _granite(keys: ArchitectureKeys, config: Config) -> None:
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

_LAYER_NORM_EPS = "attention.layer_norm_epsilon"

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
            "gemma3n",
            "gemma3n_text",
            "Gemma3nForCausalLM",
            global_names=gguf_gemma.PER_LAYER_GLOBAL_NAMES,
            layer_names=_SANDWICH_NORMS | gguf_gemma.GEMMA3N_NAMES,
            stacked=gguf_gemma.GEMMA3N_STACKED,
            extend=gguf_gemma.extend_gemma3n,
        ),
        Architecture(
            "gemma4",
            "gemma4_text",
            "Gemma4ForCausalLM",
            global_names=gguf_gemma.PER_LAYER_GLOBAL_NAMES,
            layer_names=_SANDWICH_NORMS | gguf_gemma.GEMMA4_NAMES,
            differing=frozenset({"feed_forward_length", "attention.head_count_kv"}),
            own_ropes=True,
            extend=gguf_gemma.extend_gemma4,
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
        Architecture("gemma", "gemma", "GemmaForCausalLM", shifted_norms=True, extend=_gemma1),
        Architecture("arcee", "arcee", "ArceeForCausalLM", interleaved_rope=True, extend=_arcee),
        Architecture("ernie4_5", "ernie4_5", "Ernie4_5ForCausalLM", extend=_ernie4_5),
        Architecture(
            "mistral3",
            "ministral3",
            "Ministral3ForCausalLM",
            interleaved_rope=True,
            extend=_mistral3,
        ),
        Architecture(
            "seed_oss",
            "seed_oss",
            "SeedOssForCausalLM",
            layer_names={"post_attention_norm": "post_attention_layernorm"},
            extend=_seed_oss,
        ),
        Architecture(
            "exaone4",
            "exaone4",
            "Exaone4ForCausalLM",
            layer_names=_SANDWICH_NORMS,
            extend=_exaone4,
        ),
        Architecture(
            "hunyuan-dense",
            "hunyuan_v1_dense",
            "HunYuanDenseV1ForCausalLM",
            layer_names={
                "attn_q_norm": "self_attn.query_layernorm",
                "attn_k_norm": "self_attn.key_layernorm",
            },
        ),
        Architecture(
            "glm4",
            "glm4",
            "Glm4ForCausalLM",
            layer_names={
                "ffn_up": "mlp.gate_up_proj",
                "post_attention_norm": "post_self_attn_layernorm",
                "post_ffw_norm": "post_mlp_layernorm",
            },
            extend=_glm4,
        ),
        Architecture(
            "cohere2",
            "cohere2",
            "Cohere2ForCausalLM",
            norm_eps=_LAYER_NORM_EPS,
            extend=_cohere2,
        ),
        Architecture(
            "nemotron",
            "nemotron",
            "NemotronForCausalLM",
            shifted_norms=True,
            norm_eps=_LAYER_NORM_EPS,
            extend=_nemotron,
        ),
        Architecture(
            "olmo",
            "olmo",
            "OlmoForCausalLM",
            interleaved_rope=True,
            norm_eps=_LAYER_NORM_EPS,
            extend=_olmo,
        ),
        Architecture(
            "stablelm",
            "stablelm",
            "StableLmForCausalLM",
            norm_eps=_LAYER_NORM_EPS,
            extend=_stablelm,
        ),
        Architecture(
            "starcoder2",
            "starcoder2",
            "Starcoder2ForCausalLM",
            norm_eps=_LAYER_NORM_EPS,
            layer_names={"ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"},
            extend=_starcoder2,
        ),
        Architecture(
            "phi2",
            "phi",
            "PhiForCausalLM",
            norm_eps=_LAYER_NORM_EPS,
            global_names={"output_norm": "model.final_layernorm"},
            layer_names={
                "attn_output": "self_attn.dense",
                "ffn_up": "mlp.fc1",
                "ffn_down": "mlp.fc2",
            },
            extend=_phi2,
        ),
        Architecture(
            "lfm2",
            "lfm2",
            "Lfm2ForCausalLM",
            hybrid=True,
            global_names={"token_embd_norm": "model.embedding_norm"},
            layer_names={
                "attn_norm": "operator_norm",
                "attn_output": "self_attn.out_proj",
                "attn_q_norm": "self_attn.q_layernorm",
                "attn_k_norm": "self_attn.k_layernorm",
                "ffn_norm": "ffn_norm",
                "ffn_gate": "feed_forward.w1",
                "ffn_up": "feed_forward.w3",
                "ffn_down": "feed_forward.w2",
                "shortconv.conv": "conv.conv",
                "shortconv.in_proj": "conv.in_proj",
                "shortconv.out_proj": "conv.out_proj",
            },
            extend=_lfm2,
        ),
    )
}
