"""adapter_config.json of a LoRA adapter, as PEFT writes it.

Keys as in peft 0.21, `tuners/lora/config.py`: keys that change how an adapter is merged are read,
those that concern only training are ignored, and all others are errors that name the key.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litertlm.constants import ADAPTER_CONFIG_FILE, WEIGHTS_FILE, WEIGHTS_INDEX_FILE
from litertlm.errors import UnsupportedModel

# Keys about training that do not change the merged weights. `fan_in_fan_out` is for Conv1D modules,
# which no family has: PEFT ignores it for Linear modules.
_TRAINING_KEYS = {
    "auto_mapping", "corda_config", "eva_config", "exclude_modules", "fan_in_fan_out",
    "inference_mode", "layers_pattern", "layers_to_transform", "loftq_config", "lora_dropout",
    "lora_ga_config", "megatron_core", "peft_version", "qalora_group_size", "runtime_config",
    "target_modules",
}  # fmt: skip
_MERGE_KEYS = {
    "alpha_pattern", "base_model_name_or_path", "bias", "ensure_weight_tying",
    "init_lora_weights", "lora_alpha", "lora_bias", "modules_to_save", "peft_type", "r",
    "rank_pattern", "revision", "task_type", "use_dora", "use_rslora",
}  # fmt: skip
# The other initialisations (pissa, olora, corda, loftq, lora_ga) also change the base's weights.
_PLAIN_INITS = (None, True, False, "gaussian", "eva", "orthogonal", "mica")

_PATTERN_LENGTH = 300
_PATTERN_REPEATS = 3


@dataclass(frozen=True)
class LoraConfig:
    """The values of adapter_config.json that merging needs.

    Attributes:
        base: Hub name or path of the base model, or None.
        revision: of the base on the Hub.
        rank, alpha: LoRA's r, and its scale times r, for modules that match no pattern.
        ranks, alphas: patterns of module names, and their values; the first match is used.
        rank_stabilized: the scale is alpha / sqrt(r) instead of alpha / r.
        dora: rows are scaled to the lengths in a magnitude vector.
        saved: last parts of the names of modules that are replaced completely.
        tied: embedding and head stay tied if they are tied in the base.
    """

    base: str | None
    revision: str | None
    rank: int
    alpha: float
    ranks: Mapping[str, int]
    alphas: Mapping[str, float]
    rank_stabilized: bool
    dora: bool
    saved: tuple[str, ...]
    tied: bool

    def rank_of(self, module: str) -> int:
        """r of a module, such as `model.layers.0.self_attn.q_proj`."""
        return self.ranks.get(_matching(self.ranks, module), self.rank)

    def scale_of(self, module: str) -> float:
        """The factor of `B @ A` of a module."""
        rank = self.rank_of(module)
        alpha = self.alphas.get(_matching(self.alphas, module), self.alpha)
        return alpha / math.sqrt(rank) if self.rank_stabilized else alpha / rank

    def is_saved(self, module: str) -> bool:
        """Whether the adapter has its own copy of the module (`modules_to_save`)."""
        return any(module.endswith(name) for name in self.saved)


def is_adapter(folder: Path) -> bool:
    """Whether a folder has an adapter and no complete model."""
    has_model = (folder / WEIGHTS_FILE).exists() or (folder / WEIGHTS_INDEX_FILE).exists()
    return (folder / ADAPTER_CONFIG_FILE).is_file() and not has_model


def read_lora_config(values: Mapping[str, Any], source: str) -> LoraConfig:
    """Read adapter_config.json; `source` names it in errors.

    Raises:
        UnsupportedModel: not a LoRA adapter, or a key that is not supported.
    """
    reader = _Reader(values, source)
    kind = values.get("peft_type")
    if kind != "LORA":
        mlx = " It looks like one of mlx-lm, which has another format." * (
            "fine_tune_type" in values
        )
        raise UnsupportedModel(
            f"Adapters of type {kind or 'unknown'} cannot be merged.",
            why=f"{source}: peft_type is {kind!r}, and only 'LORA' is supported.{mlx}",
            hint="Merge it with the program that created it, and convert the merged model.",
        )
    for key, value in values.items():
        if (
            key not in _MERGE_KEYS
            and key not in _TRAINING_KEYS
            and value not in (None, False, [], {}, "")
        ):
            raise reader.unsupported(key, f"is {_short(value)}")
    if values.get("task_type") not in (None, "CAUSAL_LM"):
        raise reader.unsupported("task_type", f"is {values['task_type']!r}, not 'CAUSAL_LM'")
    if values.get("init_lora_weights") not in _PLAIN_INITS:
        raise reader.unsupported(
            "init_lora_weights",
            f"is {_short(values['init_lora_weights'])}, which also changes the base's weights",
        )
    return LoraConfig(
        base=reader.text("base_model_name_or_path"),
        revision=reader.text("revision"),
        rank=reader.rank("r", values.get("r", 8)),
        alpha=reader.number("lora_alpha", values.get("lora_alpha", 8)),
        ranks={p: reader.rank("rank_pattern", v) for p, v in reader.patterns("rank_pattern")},
        alphas={p: reader.number("alpha_pattern", v) for p, v in reader.patterns("alpha_pattern")},
        rank_stabilized=reader.flag("use_rslora"),
        dora=reader.flag("use_dora"),
        saved=reader.texts("modules_to_save"),
        tied=reader.flag("ensure_weight_tying"),
    )


@dataclass(frozen=True)
class _Reader:
    values: Mapping[str, Any]
    source: str

    def unsupported(self, key: str, problem: str) -> UnsupportedModel:
        return UnsupportedModel(
            "This adapter cannot be merged faithfully.",
            why=f"{self.source}: {key} {problem}.",
            hint="Merge it with PEFT (merge_and_unload, save_pretrained), and convert the result.",
        )

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise self.unsupported(key, f"is {_short(value)}, and must be a string")
        return value or None

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            raise self.unsupported(key, f"is {_short(value)}, and must be a list of names")
        return tuple(value)

    def flag(self, key: str) -> bool:
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.unsupported(key, f"is {_short(value)}, and must be true or false")
        return bool(value)

    def rank(self, key: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 20:
            raise self.unsupported(key, f"has {_short(value)}, and ranks are positive integers")
        return value

    def number(self, key: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
            raise self.unsupported(key, f"has {_short(value)}, and must have numbers")
        return float(value)

    def patterns(self, key: str) -> list[tuple[str, Any]]:
        value = self.values.get(key) or {}
        if not isinstance(value, dict):
            raise self.unsupported(key, f"is {_short(value)}, and must be an object")
        for pattern in value:
            if not _is_harmless(pattern):
                raise self.unsupported(key, f"has the pattern {_short(pattern)}")
        return list(value.items())


def _is_harmless(pattern: str) -> bool:
    """Whether matching takes little time: in an untrusted regular expression, nested repeats can
    take exponential time."""
    repeats = re.findall(r"(?<!\\)[*+?{]", pattern)
    if len(pattern) > _PATTERN_LENGTH or len(repeats) > _PATTERN_REPEATS:
        return False
    if re.search(r"\)[*+?{]|\\\d", pattern.replace(r"\d", "")):
        return False
    try:
        re.compile(pattern)
    except (re.error, RecursionError):
        return False
    return True


def _matching(patterns: Mapping[str, object], module: str) -> str:
    """The first pattern that matches the end of the module's name; else the name."""
    for pattern in patterns:
        if re.match(rf"(.*\.)?({pattern})$", module):
            return pattern
    return module


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
