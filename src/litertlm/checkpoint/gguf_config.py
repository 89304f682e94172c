"""config.json in the format of Hugging Face's transformers, from a GGUF keys.

Key names: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The keys that only some
architectures have are in gguf_architectures.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from litertlm.checkpoint.files import is_count
from litertlm.checkpoint.gguf_file import GgufFile
from litertlm.checkpoint.gguf_vocabulary import special_token_id
from litertlm.errors import DamagedCheckpoint, UnsupportedModel

Config = dict[str, Any]


@dataclass(frozen=True)
class ArchitectureKeys:
    """The key-values of one architecture, with their types checked.

    Attributes:
        file: the GGUF file with its keys.
        prefix: the architecture's key prefix, `llama` in `llama.block_count`.
        differing: keys whose values may differ between layers.
    """

    file: GgufFile
    prefix: str
    differing: frozenset[str] = frozenset()

    def integer(self, key: str, default: int | None = None) -> int:
        """A non-negative integer; of an array the first element, which all others must be equal
        to unless the key is among `differing`."""
        value = self._value(key, default)
        if isinstance(value, list) and value:
            same = key in self.differing or all(v == value[0] for v in value)
            value = value[0] if same else value
        if isinstance(value, list):
            raise UnsupportedModel(
                f"{self.prefix}.{key} differs between layers.",
                why=f"{self.file.path} has {value}.",
            )
        if not is_count(value):
            raise self._wrong(key, value)
        return int(value)

    def counts(self, key: str, layers: int) -> list[int]:
        """A non-negative integer for each layer, which may differ."""
        value = self._value(key, None)
        each = value if isinstance(value, list) else [value] * layers
        if len(each) != layers or not all(map(is_count, each)):
            raise self._wrong(key, value)
        return [int(v) for v in each]

    def flags(self, key: str, layers: int) -> list[bool]:
        """A boolean for each layer."""
        value = self._value(key, None)
        if not isinstance(value, list) or [type(v) for v in value] != [bool] * layers:
            raise self._wrong(key, value)
        return value

    def numbers(self, key: str, layers: int) -> list[float]:
        """A float of each layer."""
        value = self._value(key, None)
        if not isinstance(value, list) or [type(v) for v in value] != [float] * layers:
            raise self._wrong(key, value)
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A float, see `as_decimal`."""
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong(key, value)
        return as_decimal(value)

    def has(self, key: str) -> bool:
        return f"{self.prefix}.{key}" in self.file.values

    def text(self, key: str, default: str) -> str:
        value = self._value(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, value)
        return value

    def _value(self, key: str, default: object) -> Any:
        value = self.file.values.get(f"{self.prefix}.{key}", default)
        if value is None:
            raise DamagedCheckpoint(f"{self.file.path} lacks the key {self.prefix}.{key}.")
        return value

    def _wrong(self, key: str, value: object) -> DamagedCheckpoint:
        return DamagedCheckpoint(f"{self.prefix}.{key} of {self.file.path} is {value!r}.")


@dataclass(frozen=True)
class Architecture:
    """How one GGUF architecture maps to a Hugging Face model.

    Attributes:
        name: as in `general.architecture`.
        model_type, class_name: as config.json has them.
        interleaved_rope: the converter interleaved query and key rows.
        shifted_norms: the converter added one to the norm weights.
        norm_eps: the key of the epsilon of its norms.
        hybrid: layers without attention have 0 key and value heads.
        global_names: GGUF tensor names outside of layers, beside the common ones.
        layer_names: GGUF tensor names of a layer that differ from the common ones; with `.weight`
            where Hugging Face's name has no such ending.
        stacked: GGUF tensors that hold several matrices, by their names without `.weight`;
            Hugging Face's name of matrix `i` is the value and `.i`.
        values: keys of one value for each layer that are tensors of Hugging Face's layers: the
            tensor's name in a layer, and its shape.
        fused_qkv: queries, keys and values may be one tensor, as a model of an older format has
            them.
        own_value_dim: values have another size than keys; `extend` reads it.
        differing: keys whose values may differ between layers; `extend` reads them.
        own_ropes: `extend` reads the rotation, of which a model has several.
        extend: adds the config keys that only this architecture has.
    """

    name: str
    model_type: str
    class_name: str
    interleaved_rope: bool = False
    shifted_norms: bool = False
    norm_eps: str = "attention.layer_norm_rms_epsilon"
    hybrid: bool = False
    global_names: Mapping[str, str] = field(default_factory=dict)
    layer_names: Mapping[str, str] = field(default_factory=dict)
    stacked: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    fused_qkv: bool = False
    own_value_dim: bool = False
    differing: frozenset[str] = frozenset()
    own_ropes: bool = False
    extend: Callable[[ArchitectureKeys, Config], None] = lambda keys, config: None


def translate_generation_config(file: GgufFile) -> Config:
    """The keys of generation_config.json: end tokens beyond EOS, suppressed tokens, and sampling
    values."""
    values = file.values
    config: Config = {}
    size = _vocab_size(file)
    ends = [special_token_id(file, name, size) for name in ("eos", "eot", "eom")]
    ids = [number for number in dict.fromkeys(ends) if number is not None]
    if len(ids) > 1:
        config["eos_token_id"] = ids
    if "tokenizer.ggml.suppress_tokens" in values:
        config["suppress_tokens"] = values["tokenizer.ggml.suppress_tokens"]
    for key, name in (
        ("temp", "temperature"),
        ("top_k", "top_k"),
        ("top_p", "top_p"),
        ("min_p", "min_p"),
        ("penalty_repeat", "repetition_penalty"),
    ):
        value = values.get(f"general.sampling.{key}")
        if isinstance(value, float):
            config[name] = as_decimal(value)
        elif isinstance(value, int):
            config[name] = value
    return config


def as_decimal(value: float) -> float:
    """The shortest decimal of a 32-bit float: 1e-05, not 9.999999747e-06."""
    return float(str(np.float32(value)))


def translate_config(file: GgufFile, architecture: Architecture) -> Config:
    """The keys of config.json.

    Raises:
        UnsupportedModel: experts, unequal head sizes, unknown rotary factors.
        DamagedCheckpoint: a key that every model has is missing or has a wrong type.
    """
    keys = ArchitectureKeys(file, architecture.name, architecture.differing)
    parts = file.values.get("split.count", 0)
    if isinstance(parts, int) and parts > 1:
        raise UnsupportedModel(
            f"{file.path} is one of {parts} parts of a model.",
            hint="Join them with llama.cpp: llama-gguf-split --merge FIRST_PART JOINED.gguf",
        )
    if keys.integer("expert_count", 0) > 0:
        raise UnsupportedModel(
            "Mixture-of-experts models are not supported.",
            why=f"{file.path} says {architecture.name}.expert_count = "
            f"{keys.integer('expert_count')}.",
        )
    hidden, heads = keys.integer("embedding_length"), keys.integer("attention.head_count")
    head_dim = keys.integer("attention.key_length", hidden // heads if heads else 0)
    if not heads or not head_dim:
        raise DamagedCheckpoint(f"{file.path} has {heads} attention heads of {head_dim} values.")
    rope_dims = keys.integer("rope.dimension_count", 0)
    value_dim = keys.integer("attention.value_length", head_dim)
    if value_dim != head_dim and not architecture.own_value_dim:
        raise UnsupportedModel(
            f"{architecture.name}.attention.value_length differs from key_length.",
            why=f"{file.path} has heads of unequal size.",
        )
    layers = _layers(keys)
    config: Config = {
        "architectures": [architecture.class_name],
        "model_type": architecture.model_type,
        "hidden_size": hidden,
        "intermediate_size": keys.integer("feed_forward_length"),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": max(keys.counts("attention.head_count_kv", layers))
        if architecture.hybrid
        else keys.integer("attention.head_count_kv", heads),
        "head_dim": head_dim,
        "max_position_embeddings": keys.integer("context_length"),
        "rms_norm_eps": keys.number(architecture.norm_eps),
        "rope_theta": keys.number("rope.freq_base", 10_000.0),
        "vocab_size": _vocab_size(file),
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "hidden_act": "silu",
        "attention_bias": "blk.0.attn_q.bias" in file.tensors,
        "mlp_bias": "blk.0.ffn_up.bias" in file.tensors,
    }
    for key, name in (("bos", "bos"), ("eos", "eos"), ("padding", "pad")):
        number = special_token_id(file, key, config["vocab_size"])
        if number is not None:
            config[f"{name}_token_id"] = number
    if rope_dims not in (0, head_dim):
        config["partial_rotary_factor"] = rope_dims / head_dim
    scaling = None if architecture.own_ropes else _rope_scaling(keys, config)
    if scaling is not None:
        config["rope_scaling"] = scaling
    architecture.extend(keys, config)
    return config


def _vocab_size(file: GgufFile) -> int:
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise DamagedCheckpoint(f"{file.path} has no matrix token_embd.weight.")
    return embedding.shape[0]


def _layers(keys: ArchitectureKeys) -> int:
    """The number of layers; the last one must have tensors, so that a wrong number is found."""
    layers = keys.integer("block_count")
    if not any(name.startswith(f"blk.{layers - 1}.") for name in keys.file.tensors):
        raise DamagedCheckpoint(
            f"{keys.file.path} has no tensors of layer {layers - 1}.",
            why=f"{keys.prefix}.block_count is {layers}.",
        )
    return layers


def _rope_scaling(keys: ArchitectureKeys, config: Config) -> Config | None:
    kind = keys.text("rope.scaling.type", "none")
    if "rope_freqs.weight" in keys.file.tensors:
        return _llama3_scaling(keys, config)
    factor = keys.number("rope.scaling.factor", keys.number("rope.scale_linear", 1.0))
    if kind == "yarn":
        scaling: Config = {
            "rope_type": "yarn",
            "factor": factor,
            "original_max_position_embeddings": keys.integer(
                "rope.scaling.original_context_length"
            ),
        }
        for key, name in (
            ("attn_factor", "attention_factor"),
            ("yarn_attn_factor", "attention_factor"),
            ("yarn_beta_fast", "beta_fast"),
            ("yarn_beta_slow", "beta_slow"),
        ):
            if keys.has(f"rope.scaling.{key}"):
                scaling[name] = keys.number(f"rope.scaling.{key}")
        return scaling
    if kind in ("none", "linear"):
        return {"rope_type": "linear", "factor": factor} if factor != 1 else None
    if kind == "longrope":
        return None  # the factors are tensors; see `longrope_factors`
    raise UnsupportedModel(
        f"Rotary scaling {kind!r} is not supported.",
        why=f"{keys.file.path} says {keys.prefix}.rope.scaling.type = {kind!r}.",
    )


def _llama3_scaling(keys: ArchitectureKeys, config: Config) -> Config | None:
    """Llama 3's scaling, from the divisor of each frequency that llama.cpp stores instead.

    All published Llama 3 models have these three parameters; the factor is the largest divisor.
    The parameters are used only if they reproduce every stored divisor.
    """
    tensor = keys.file.tensors["rope_freqs.weight"]
    stored = tensor.rows(0, tensor.shape[0]).astype(np.float64)
    if np.all(stored == 1):
        return None
    low, high, original = 1.0, 4.0, 8192
    factor = float(stored.max())
    half = len(stored)
    wavelength = 2 * math.pi * config["rope_theta"] ** (np.arange(half) / half)
    smooth = np.clip((original / wavelength - low) / (high - low), 0, 1)
    expected = 1 / ((1 - smooth) / factor + smooth)
    if 2 * half != config["head_dim"] or not np.allclose(stored, expected, rtol=1e-4):
        raise UnsupportedModel(
            "The rotary factors of this GGUF file are not those of Llama 3.",
            why=f"Tensor rope_freqs.weight of {keys.file.path} does not follow from a factor "
            f"of {factor:g} with the parameters of the Llama 3 models.",
            hint="Use the safetensors checkpoint of the same model.",
        )
    return {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": original,
    }
