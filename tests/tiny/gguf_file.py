"""The tiny checkpoints as GGUF files, laid out as llama.cpp's converter lays them out.

The names, the writer and the quantization are those of the package `gguf`; the changes to
tensors are those of https://github.com/ggml-org/llama.cpp/tree/master/conversion: interleaved
query and key rows (llama.py), norm weights plus one (gemma.py), taps of
convolutions without their axis of one (lfm2.py), rotary factors as tensors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf.quants import quantize
from numpy.typing import NDArray

from tiny.checkpoint import tensor_values
from tiny.model import TinyGguf, TinyModel
from tiny.models import MODELS, family_of
from tiny.shapes import tensor_shapes
from tiny.tokenizer import BOS, CHAT_TEMPLATE, EOS, IM_END, tokenizer_json

# The models that are tested as GGUF files, with what llama.cpp takes for granted where GGUF cannot
# say it.
GGUF_CASES: list[tuple[str, dict[str, Any]]] = [
    (model.name, dict(model.gguf)) for model in MODELS.values() if model.gguf is not None
]


def write_gguf(
    model: TinyModel,
    path: Path,
    *,
    matrices: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    tensors: Mapping[str, NDArray[np.float64]] | None = None,
) -> Path:
    """Write the model, its matrices stored as `matrices`, vectors as F32.

    Args:
        tensors: other ones than the model's own.
    """
    architecture = gguf.MODEL_ARCH[_converter(model).architecture]
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[architecture])
    _write_parameters(writer, model)
    _write_vocabulary(writer, model)
    names = gguf.get_tensor_name_map(architecture, model.config["num_hidden_layers"])
    if tensors is None:
        tensors = {n: tensor_values(model, n, s) for n, s in tensor_shapes(model).items()}
    kept = _stacked(model, tensors)
    for ending, method in _converter(model).values.items():
        listed = [kept.pop(name) for name in tensors if name.endswith(ending)]
        getattr(writer, method)([float(value.item()) for value in listed])
    for name, original in kept.items():
        # The converter gives a parameter that is no module's weight the ending of one.
        suffixed = name if name.endswith((".weight", ".bias")) else f"{name}.weight"
        stored = names.get_name(suffixed, (".weight", ".bias"))
        assert stored is not None, name
        values = _converted(model, name, original.astype(np.float32))
        if values.ndim == 1:
            writer.add_tensor(stored, values)
        else:
            writer.add_tensor(stored, quantize(values, matrices), raw_dtype=matrices)
    for stored, values in _rope_factors(model).items():
        writer.add_tensor(stored, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _converted(model: TinyModel, name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
    config, family = model.config, family_of(model)
    projection = name.split(".")[-2]
    if _converter(model).interleaved and projection in ("q_proj", "k_proj"):
        key = "num_attention_heads" if projection == "q_proj" else "num_key_value_heads"
        heads = values.reshape(config[key], 2, -1, *values.shape[1:])
        return np.ascontiguousarray(heads.swapaxes(1, 2)).reshape(values.shape)
    if name.endswith("conv.conv.weight"):
        return values[:, 0]
    if family.norm_offset and name.endswith("norm.weight"):
        return values + np.float32(family.norm_offset)
    return values


def _stacked(
    model: TinyModel, tensors: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    result = dict(tensors)
    for module in _converter(model).stacked:
        parts = [result.pop(name) for name in tensors if name.startswith(f"{module}.")]
        result[f"{module}.weight"] = np.stack(parts)
    return result


def _converter(model: TinyModel) -> TinyGguf:
    converter = family_of(model).gguf
    assert converter is not None, f"{model.name}: llama.cpp does not convert its family"
    return converter


def _write_parameters(writer: gguf.GGUFWriter, model: TinyModel) -> None:
    config, converter = model.config, _converter(model)
    head_dim = _head_dim(model)
    norm_method, norm_key = converter.norm_eps
    values = {
        "add_context_length": config["max_position_embeddings"],
        "add_embedding_length": config["hidden_size"],
        "add_block_count": config["num_hidden_layers"],
        "add_feed_forward_length": config["intermediate_size"],
        "add_head_count": config["num_attention_heads"],
        "add_head_count_kv": config["num_key_value_heads"],
        norm_method: config[norm_key],
        "add_rope_freq_base": config.get("rope_theta"),
    }
    if "head_dim" in config:
        values |= {"add_key_length": head_dim, "add_value_length": head_dim}
    for method, value in (values | dict(converter.replaced(config))).items():
        if value is not None:
            getattr(writer, method)(value)
    if converter.interleaved:
        writer.add_vocab_size(config["vocab_size"])
        writer.add_rope_dimension_count(head_dim)
    if converter.window and config.get("sliding_window"):
        writer.add_sliding_window(config["sliding_window"])
    if config.get("attn_logit_softcapping"):
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
    if config.get("final_logit_softcapping"):
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    for key, method in converter.keys.items():
        getattr(writer, method)(config[key])
    converter.parameters(writer, config)
    _write_rope_scaling(writer, config.get("rope_scaling") or {})


def _write_rope_scaling(writer: gguf.GGUFWriter, scaling: dict[str, Any]) -> None:
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling["factor"])
    elif kind == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(scaling["factor"])
        writer.add_rope_scaling_orig_ctx_len(scaling["original_max_position_embeddings"])
        if "attention_factor" in scaling:
            writer.add_rope_scaling_yarn_attn_factor(scaling["attention_factor"])
        if "beta_fast" in scaling:
            writer.add_rope_scaling_yarn_beta_fast(scaling["beta_fast"])
            writer.add_rope_scaling_yarn_beta_slow(scaling["beta_slow"])
    elif kind == "longrope":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)


def _rope_factors(model: TinyModel) -> dict[str, NDArray[np.float32]]:
    own = _converter(model).rope_factors
    if own is not None:
        return {"rope_freqs.weight": np.array(own(model.config), np.float32)}
    scaling = model.config.get("rope_scaling") or {}
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind == "longrope":
        return {
            f"rope_factors_{name}.weight": np.array(scaling[f"{name}_factor"], np.float32)
            for name in ("long", "short")
        }
    if kind != "llama3":
        return {}
    factors = []
    for pair in range(_head_dim(model) // 2):
        wavelength = 2 * math.pi * model.config["rope_theta"] ** (2 * pair / _head_dim(model))
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        turns = scaling["original_max_position_embeddings"] / wavelength
        if turns > high:
            factors.append(1.0)
        elif turns < low:
            factors.append(scaling["factor"])
        else:
            smooth = (turns - low) / (high - low)
            factors.append(1 / ((1 - smooth) / scaling["factor"] + smooth))
    return {"rope_freqs.weight": np.array(factors, np.float32)}


def _write_vocabulary(writer: gguf.GGUFWriter, model: TinyModel) -> None:
    content = json.loads(tokenizer_json(adds_bos=model.adds_bos))
    special = {token["content"] for token in content["added_tokens"]}
    tokens = list(content["model"]["vocab"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in tokens]
    )
    writer.add_token_merges([" ".join(pair) for pair in content["model"]["merges"]])
    if model.adds_bos:
        writer.add_bos_token_id(BOS)
    writer.add_add_bos_token(model.adds_bos)
    writer.add_eos_token_id(IM_END)
    writer.add_eot_token_id(EOS)
    writer.add_chat_template(CHAT_TEMPLATE)


def _head_dim(model: TinyModel) -> int:
    config = model.config
    return int(config.get("head_dim", config["hidden_size"] // config["num_attention_heads"]))
