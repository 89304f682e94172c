"""Values that a family does not support are reported by their key, before any weight is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from litertlm.errors import DamagedCheckpoint, UnsupportedModel, UsageError
from litertlm.families import FAMILIES, identify
from litertlm.services.convert.options import ConvertOptions
from litertlm.services.convert.plan import plan_conversion
from tiny import MODELS, change_config, tensor_shapes, write_checkpoint, write_safetensors
from tiny.checkpoint import tensor_values

UNSUPPORTED: list[tuple[str, str, dict[str, Any]]] = [
    ("llama-gqa-tied", "model_type", {"model_type": "mamba"}),
    ("llama-gqa-tied", "model_type", {"model_type": None}),
    ("llama-gqa-tied", "hidden_act", {"hidden_act": "quick_gelu"}),
    ("llama-gqa-tied", "hidden_size", {"hidden_size": None}),
    ("llama-gqa-tied", "hidden_size", {"hidden_size": -64}),
    ("llama-gqa-tied", "hidden_size", {"hidden_size": "64"}),
    ("llama-gqa-tied", "hidden_size", {"hidden_size": 64.5}),
    ("llama-gqa-tied", "num_hidden_layers", {"num_hidden_layers": 10**9}),
    ("llama-gqa-tied", "head_dim", {"head_dim": 10**12}),
    ("llama-gqa-tied", "head_dim", {"head_dim": 0}),
    ("llama-gqa-tied", "num_key_value_heads", {"num_key_value_heads": 3}),
    ("llama-gqa-tied", "num_attention_heads", {"num_attention_heads": 5, "num_key_value_heads": 5}),
    ("helium-linear-tied", "head_dim", {"head_dim": None}),
    ("hunyuan_v1_dense-bias-linear-untied", "head_dim", {"head_dim": None}),
    ("mistral-head-dim-tied", "num_key_value_heads", {"num_key_value_heads": None}),
    ("llama-gqa-tied", "attention_bias", {"attention_bias": "yes"}),
    ("llama-gqa-tied", "rms_norm_eps", {"rms_norm_eps": 10**400}),
    ("llama-gqa-tied", "rope_theta", {"rope_theta": 0.5}),
    ("llama-gqa-tied", "rope_theta", {"rope_theta": -1}),
    ("llama-gqa-tied", "partial_rotary_factor", {"partial_rotary_factor": 0.5}),
    ("llama-gqa-tied", "rope_scaling", {"rope_scaling": [1, 2]}),
    ("llama-gqa-tied", "rope_scaling.rope_type", {"rope_scaling": {"rope_type": "mrope"}}),
    ("llama-gqa-tied", "rope_scaling.type", {"rope_scaling": {"type": "su", "factor": 2.0}}),
    ("llama-gqa-tied", "rope_scaling.factor", {"rope_scaling": {"type": "linear"}}),
    ("llama-gqa-tied", "rope_scaling.factor", {"rope_scaling": {"type": "linear", "factor": 0}}),
    (
        "llama-gqa-tied",
        "rope_scaling.low_freq_factor",
        {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
    ),
    (
        "llama-gqa-tied",
        "rope_scaling.short_factor",
        {"rope_scaling": {"rope_type": "longrope", "short_factor": [1.0], "long_factor": [1.0]}},
    ),
    *((m.name, key, dict(change)) for m in MODELS.values() for key, change in m.unsupported),
]


@pytest.mark.parametrize(("name", "key", "change"), UNSUPPORTED)
def test_config_key_is_reported(
    name: str, key: str, change: dict[str, Any], tmp_path: Path
) -> None:
    write_checkpoint(MODELS[name], tmp_path)
    change_config(tmp_path, change)
    with pytest.raises(UnsupportedModel) as error:
        plan_conversion(tmp_path, ConvertOptions(kv_cache_max_len=64))
    assert f"config.json: {key} " in error.value.why


def test_unknown_model_type_is_reported_before_missing_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    with pytest.raises(UnsupportedModel, match="'mamba'"):
        plan_conversion(tmp_path, ConvertOptions())


def test_unknown_model_type_lists_the_known_ones_of_multimodal_models_too() -> None:
    with pytest.raises(UnsupportedModel) as error:
        identify({"model_type": "mamba"})
    assert {"gemma3", *FAMILIES} <= set(error.value.why.rstrip(".").replace(",", "").split())


@pytest.mark.parametrize(
    ("name", "change", "tensor"),
    [
        ("llama-gqa-tied", {"vocab_size": 321}, "model.embed_tokens.weight"),
        ("llama-gqa-tied", {"num_hidden_layers": 3}, "model.layers.2.input_layernorm.weight"),
        ("llama-gqa-tied", {"tie_word_embeddings": False}, "lm_head.weight"),
        ("llama-gqa-tied", {"intermediate_size": 95}, "model.layers.0.mlp.gate_proj.weight"),
        ("llama-gqa-tied", {"attention_bias": True}, "model.layers.0.self_attn.q_proj.bias"),
        ("qwen3-gqa-tied", {"head_dim": 16}, "model.layers.0.self_attn.q_proj.weight"),
    ],
)
def test_tensor_that_does_not_fit_the_config_is_named(
    name: str, change: dict[str, Any], tensor: str, tmp_path: Path
) -> None:
    write_checkpoint(MODELS[name], tmp_path)
    change_config(tmp_path, change)
    with pytest.raises(DamagedCheckpoint) as error:
        plan_conversion(tmp_path, ConvertOptions(kv_cache_max_len=64))
    assert tensor in error.value.what
    assert f"Tensor {tensor} " in error.value.why


@pytest.mark.parametrize(
    ("name", "change", "tensor"),
    [
        ("llama-bias-untied-linear", {"mlp_bias": False}, "model.layers.0.mlp.gate_proj.bias"),
        ("qwen3-gqa-tied", {"num_hidden_layers": 1}, "model.layers.1.self_attn.q_proj.weight"),
        ("gemma3_text-pattern-linear", {"model_type": "gemma2"}, "self_attn.q_norm.weight"),
    ],
)
def test_tensor_that_the_family_does_not_use_is_named(
    name: str, change: dict[str, Any], tensor: str, tmp_path: Path
) -> None:
    write_checkpoint(MODELS[name], tmp_path)
    change_config(tmp_path, change)
    with pytest.raises(UnsupportedModel) as error:
        plan_conversion(tmp_path, ConvertOptions(kv_cache_max_len=64))
    assert tensor in error.value.why


def test_unknown_part_of_a_multimodal_checkpoint_is_reported(tmp_path: Path) -> None:
    model = MODELS["gemma3-vision"]
    write_checkpoint(model, tmp_path)
    shapes = {**tensor_shapes(model), "audio_tower.weight": (4, 4)}
    tensors = {name: tensor_values(model, name, shape) for name, shape in shapes.items()}
    write_safetensors(tmp_path / "model.safetensors", tensors, model.dtype)
    with pytest.raises(UnsupportedModel) as error:
        plan_conversion(tmp_path, ConvertOptions(kv_cache_max_len=64))
    assert "audio_tower.weight" in error.value.why


@pytest.mark.parametrize(
    ("name", "change", "most"),
    [
        ("llama-gqa-tied", {}, 2048),
        ("llama-gqa-tied", {"rope_scaling": {"type": "dynamic", "factor": 4.0}}, 2048),
        ("phi3-partial-longrope-tied", {}, 256),
        ("phi3-window-untied", {"max_position_embeddings": 131072}, 131072),
        (
            "olmo3-types-bias-tied",
            {
                "rope_parameters/sliding_attention": {
                    "rope_type": "longrope",
                    "factor": 4.0,
                    "rope_theta": 1000.0,
                    "original_max_position_embeddings": 64,
                    "short_factor": [1.0] * 8,
                    "long_factor": [2.0] * 8,
                }
            },
            64,
        ),
    ],
)
def test_context_ends_where_the_positions_do(
    name: str, change: dict[str, Any], most: int, tmp_path: Path
) -> None:
    write_checkpoint(MODELS[name], tmp_path)
    change_config(tmp_path, change)
    assert plan_conversion(tmp_path, ConvertOptions(kv_cache_max_len=most)).nbytes > 0
    with pytest.raises(UsageError) as error:
        plan_conversion(tmp_path, ConvertOptions(kv_cache_max_len=most + 1))
    assert str(most) in error.value.why


@pytest.mark.parametrize("shapes", ["dynamic", "static"])
def test_model_of_fewer_positions_than_the_default_cache(shapes: str, tmp_path: Path) -> None:
    write_checkpoint(MODELS["llama-gqa-tied"], tmp_path)
    change_config(tmp_path, {"max_position_embeddings": 256})
    options = ConvertOptions(shapes=shapes)
    assert plan_conversion(tmp_path, options).options.kv_cache_max_len == 256
    with pytest.raises(UsageError, match="1280 cannot work"):
        plan_conversion(tmp_path, replace(options, shorten=False))


def test_what_transformers_writes_beside_the_ropes_of_one_type_of_layer(tmp_path: Path) -> None:
    write_checkpoint(MODELS["gemma3_text-types-softcap"], tmp_path)
    options = ConvertOptions(kv_cache_max_len=64)
    plain = plan_conversion(tmp_path, options).layouts[0].flatbuffer
    beside = {"rope_parameters/rope_type": "default", "rope_parameters/rope_theta": None}
    change_config(tmp_path, beside)
    assert plan_conversion(tmp_path, options).layouts[0].flatbuffer == plain
