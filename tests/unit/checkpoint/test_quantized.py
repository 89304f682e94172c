"""Checkpoints with quantized weights: every form, and what is refused."""

from __future__ import annotations

import json
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converted import write_bundle
from litertlm.checkpoint import open_checkpoint
from litertlm.checkpoint.quantized import check_quantization, stored_bits
from litertlm.errors import DamagedCheckpoint, UnsupportedModel
from litertlm.services.convert.options import ConvertOptions
from tiny import MODELS, change_config
from tiny.quantized import FORMS, read_parts, write_parts, write_quantized

MODEL = MODELS["qwen2-bias-tied"]


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_the_dequantized_values(form: str, tmp_path: Path) -> None:
    quantized, _, floats = write_quantized(MODEL, FORMS[form], tmp_path)
    opened = open_checkpoint(quantized)
    assert opened.tensors.keys() == floats.keys()
    assert opened.nbytes < sum(values.nbytes for values in floats.values())
    for name, values in floats.items():
        stored = opened.tensors[name]
        assert tuple(stored.shape) == values.shape
        np.testing.assert_array_equal(stored.rows(0, len(values)), values, err_msg=name)
        for start in range(0, len(values), 7):
            block = stored.rows(start, min(start + 7, len(values)))
            np.testing.assert_array_equal(block, values[start : start + 7], err_msg=name)
            block[...] = 0  # a fresh array: later reads do not change
        assert stored.rows(3, 3).shape == (0, *values.shape[1:])


@pytest.mark.parametrize(
    "form",
    ["fp8-blocks", "compressed-packed4-zeros", "gptq-order", "awq", "bitsandbytes-nf4", "mxfp4"],
)
def test_bundle_is_that_of_the_dequantized_checkpoint(form: str, tmp_path: Path) -> None:
    quantized, plain, _ = write_quantized(MODEL, FORMS[form], tmp_path)
    options = ConvertOptions(recipe="dynamic_int8", kv_cache_max_len=64)
    one = write_bundle(quantized, tmp_path / "one.litertlm", options)
    other = write_bundle(plain, tmp_path / "other.litertlm", options)
    assert one.read_bytes() == other.read_bytes()


UNSUPPORTED: list[tuple[dict[str, Any], str]] = [
    ({"quant_method": "hqq"}, "these forms are read: awq, bitsandbytes, compressed-tensors"),
    ({"bits": 4}, "these forms are read"),
    ({"quant_method": "gptq"}, "quantization_config.bits is None, and only 4, 8"),
    ({"quant_method": "gptq", "bits": 3}, "quantization_config.bits is 3"),
    ({"quant_method": "gptq", "bits": 4.0}, "quantization_config.bits is 4.0"),
    (
        {"quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin"},
        "quantization_config.checkpoint_format is 'marlin', and only 'gptq', 'gptq_v2'",
    ),
    ({"quant_method": "gptq", "bits": 4, "group_size": 0}, "group_size is 0"),
    (
        {"quant_method": "gptq", "bits": 4, "dynamic": {"+:.*": {"bits": 8}}},
        "quantization_config.dynamic",
    ),
    ({"quant_method": "awq", "bits": 4, "version": "gemv"}, "version is 'gemv', and only 'gemm'"),
    ({"quant_method": "awq", "bits": 8}, "bits is 8"),
    ({"quant_method": "fp8", "weight_block_size": [128]}, "weight_block_size is [128]"),
    ({"quant_method": "fp8", "expert_dtype": "fp4"}, "expert_dtype is 'fp4'"),
    ({"quant_method": "bitsandbytes"}, "load_in_4bit and load_in_8bit are both false"),
    (
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "int4"},
        "bnb_4bit_quant_type is 'int4'",
    ),
    (
        {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"},
        "format is 'nvfp4-pack-quantized'",
    ),
    (
        {"quant_method": "compressed-tensors", "sparsity_config": {"format": "sparse-24-bitmask"}},
        "quantization_config.sparsity_config.format is 'sparse-24-bitmask'",
    ),
    (
        {
            "quant_method": "compressed-tensors",
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 3}}},
        },
        "quantization_config.config_groups.group_0.weights.num_bits is 3",
    ),
    (
        {"quant_method": "compressed-tensors", "transform_config": {"config_groups": {"R1": {}}}},
        "rotations of activations",
    ),
]


@pytest.mark.parametrize(("section", "message"), UNSUPPORTED)
def test_forms_that_are_not_read(section: dict[str, Any], message: str) -> None:
    for config in (
        {"quantization_config": section},
        {"text_config": {"quantization_config": section}},
    ):
        with pytest.raises(UnsupportedModel) as caught:
            check_quantization("config.json", config)
        assert message in caught.value.why
        assert str(section.get("quant_method", "unnamed")) in caught.value.what


def test_a_quantized_weight_without_scales(tmp_path: Path) -> None:
    quantized, _, _ = write_quantized(MODEL, FORMS["fp8-blocks"], tmp_path)
    change_config(quantized, {"quantization_config": {"quant_method": "mxfp4"}})
    with pytest.raises(UnsupportedModel, match="in a form that cannot be read") as caught:
        open_checkpoint(quantized)
    assert "is stored as F8_E4M3 and has no scales" in caught.value.why


def edited(folder: Path, changes: dict[str, Any]) -> None:
    """Replace parts of all modules (None removes them), by the ends of their names."""
    path = folder / "model.safetensors"
    stored = read_parts(path)
    for end, change in changes.items():
        for name in [n for n in stored if n.endswith("." + end)]:
            dtype, values = stored.pop(name)
            if change is not None:
                stored[name] = (dtype, change(values))
    write_parts(path, stored)


def cut(values: np.ndarray) -> np.ndarray:
    return values[:-1]


DAMAGED: list[tuple[str, dict[str, Any], str]] = [
    ("gptq", {"scales": None}, "tensor model.layers.0.self_attn.q_proj.scales is missing"),
    ("gptq", {"qzeros": cut}, "q_proj.qzeros does not fit the other parts"),
    ("gptq-order", {"g_idx": lambda v: v + 1}, "names groups that do not exist"),
    ("awq", {"scales": cut}, "q_proj.scales does not fit"),
    (
        "fp8-blocks",
        {"weight_scale_inv": lambda v: np.concatenate([v, v])[:7]},
        "The scales of model.layers.0",
    ),
    ("compressed-packed4-groups", {"weight_shape": None}, "q_proj.weight_shape is missing"),
    ("compressed-packed4-groups", {"weight_shape": lambda v: v + 8}, "weight_packed does not fit"),
    ("compressed-packed4-zeros", {"weight_zero_point": None}, "weight_zero_point is missing"),
    ("compressed-packed4-order", {"weight_g_idx": lambda v: v - 1}, "names groups"),
    ("compressed-mxfp4", {"weight_scale": lambda v: v[:, :1]}, "q_proj.weight_scale does not fit"),
    ("bitsandbytes-nf4", {"absmax": cut}, "q_proj.weight.absmax does not fit"),
    ("bitsandbytes-nf4", {"quant_map": None}, "q_proj.weight.quant_map is missing"),
    ("bitsandbytes-nf4", {"quant_state.bitsandbytes__nf4": cut}, "is not valid JSON"),
    ("bitsandbytes-nf4-nested", {"nested_absmax": cut}, "nested_absmax does not fit"),
    ("bitsandbytes-int8", {"SCB": cut}, "q_proj.SCB does not fit"),
    ("mxfp4", {"weight_scales": None}, "q_proj.weight_scales is missing"),
]


@pytest.mark.parametrize(("form", "changes", "message"), DAMAGED)
def test_parts_that_do_not_fit(
    form: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    quantized, _, _ = write_quantized(MODEL, FORMS[form], tmp_path)
    edited(quantized, changes)
    with pytest.raises(DamagedCheckpoint) as caught:
        read_first_rows(quantized)
    assert message in caught.value.what + caught.value.why


def read_first_rows(folder: Path) -> None:
    """Read the first row of each tensor."""
    for tensor in open_checkpoint(folder).tensors.values():
        tensor.rows(0, 1)


def test_an_order_for_tensor_cores_is_refused(tmp_path: Path) -> None:
    quantized, _, _ = write_quantized(MODEL, FORMS["bitsandbytes-int8"], tmp_path)
    edited(quantized, {"weight_format": lambda v: v + 2})
    with pytest.raises(UnsupportedModel) as caught:
        open_checkpoint(quantized)
    assert "tensor cores" in caught.value.why


def test_schemes_of_several_groups(tmp_path: Path) -> None:
    form = FORMS["compressed-packed4-groups"]
    quantized, _, floats = write_quantized(MODEL, form, tmp_path)
    (group,) = form.config["config_groups"].values()
    other = {"targets": ["re:.*lm_head", "Embedding"], "weights": {"num_bits": 8, "type": "float"}}
    groups = {"group_0": other, "group_1": group}
    change_config(quantized, {"quantization_config/config_groups": groups})
    name = "model.layers.0.mlp.down_proj.weight"
    stored = open_checkpoint(quantized).tensors[name]
    np.testing.assert_array_equal(stored.rows(0, len(floats[name])), floats[name])
    change_config(quantized, {"quantization_config/config_groups": {"a": other, "b": other}})
    with pytest.raises(UnsupportedModel, match="cannot be read"):
        open_checkpoint(quantized)


@pytest.mark.parametrize("form", ["gptq", "awq"])
def test_memory_does_not_grow_with_a_transposed_weight(form: str, tmp_path: Path) -> None:
    inputs, outputs = 4096, 32768
    rows, columns = (inputs // 8, outputs) if form == "gptq" else (inputs, outputs // 8)
    groups = inputs // 16
    quantized, _, _ = write_quantized(MODEL, FORMS[form], tmp_path)
    name = "model.layers.0.mlp.down_proj"
    parts = {
        f"{name}.qweight": ("I32", np.zeros((rows, columns), np.int32)),
        f"{name}.qzeros": ("I32", np.zeros((groups, outputs // 8), np.int32)),
        f"{name}.scales": ("F16", np.ones((groups, outputs), np.float16)),
    }
    write_parts(quantized / "model.safetensors", parts)
    weight = open_checkpoint(quantized).tensors[f"{name}.weight"]
    assert weight.nbytes > 64 << 20
    tracemalloc.start()
    try:
        for start in range(0, outputs, 1024):
            weight.rows(start, start + 16)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 << 20


@pytest.mark.parametrize(
    ("form", "bits"),
    [
        ("fp8-blocks", 8), ("gptq", 4.5), ("gptq-8bit", 8), ("awq", 4.5), ("mxfp4", 4.5),
        ("bitsandbytes-nf4", 4.5), ("bitsandbytes-int8", 8), ("compressed-packed4-zeros", 4.5),
        ("compressed-int8", 8),
    ],
)  # fmt: skip
def test_bits_for_estimates(form: str, bits: float) -> None:
    assert stored_bits({"quantization_config": dict(FORMS[form].config)}) == bits


def test_floats_have_no_bits_of_their_own() -> None:
    assert stored_bits(json.loads("{}")) is None


ODD = [None, [], {}, [1], {"a": 1}, "x", -1, 0, 1.5, 10**30, True, [[]], ["re:("], "\x1b"]


@pytest.mark.parametrize("form", FORMS)
def test_odd_values_in_a_config_are_refused_or_ignored(form: str) -> None:
    config = dict(FORMS[form].config)
    sections = [(config, key) for key in config]
    for group in dict(config.get("config_groups", {})).values():
        sections += [(group["weights"], key) for key in group["weights"]]
        sections += [(group, key) for key in group]
    for section, key in sections:
        before = section[key]
        for odd in ODD:
            section[key] = odd
            with suppress(UnsupportedModel):
                check_quantization("config.json", {"quantization_config": config})
        section[key] = before


@pytest.mark.parametrize("form", FORMS)
def test_odd_parts_of_a_weight_are_refused(form: str, tmp_path: Path) -> None:
    quantized, _, _ = write_quantized(MODEL, FORMS[form], tmp_path)
    path = quantized / "model.safetensors"
    stored = read_parts(path)
    module = "model.layers.0.self_attn.q_proj."
    for name in [name for name in stored if name.startswith(module) and name != f"{module}bias"]:
        dtype, values = stored[name]
        flat = values.reshape(-1)
        for change in (("F32", values.astype(np.float32)), (dtype, flat), (dtype, flat[:0])):
            write_parts(path, {**stored, name: change})
            with suppress(UnsupportedModel, DamagedCheckpoint):
                read_first_rows(quantized)
