"""Model families: which `model_type` is written by which module, and how a model is built.

A family module has `read_config(ConfigReader) -> Config` and `decoder(Step, Weights, Config)`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from litertlm.checkpoint import Checkpoint
from litertlm.errors import UnsupportedModel
from litertlm.families.blocks import CacheShape, Signature, Step, Weights
from litertlm.families.config_reader import ConfigReader
from litertlm.families.multimodal import is_multimodal, text_part
from litertlm.graph import Model

# model_type of config.json -> module. One row per family.
FAMILIES = {
    "gemma2": "gemma2",
    "gemma3_text": "gemma3",
    "granite": "granite",
    "llama": "llama",
    "mistral": "mistral",
    "olmo2": "olmo2",
    "phi3": "phi3",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "smollm3": "smollm3",
}


class FamilyConfig(Protocol):
    """What the rest of the program asks of a family's config."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def max_context(self) -> int: ...
    @property
    def caches(self) -> list[CacheShape]: ...


@dataclass(frozen=True)
class Family:
    """A checkpoint's family with its parsed config.

    Attributes:
        name: the `model_type`.
        module: the family's module.
        config: its Config.
    """

    name: str
    module: Any
    config: FamilyConfig


def identify(checkpoint: Checkpoint) -> Family:
    """The family of a checkpoint, from its config alone.

    Raises:
        UnsupportedModel: an unknown `model_type`, or a config key that cannot be done right.
    """
    config = text_part(checkpoint).config
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise UnsupportedModel(
            f"Models of type {model_type!r} cannot be converted.",
            why=f"config.json: model_type is not one of {', '.join(sorted(FAMILIES))}.",
            hint="`litert-lm-cli models` lists what can be run.",
        )
    module = importlib.import_module(f"litertlm.families.{FAMILIES[model_type]}")
    prefix = "text_config." if is_multimodal(checkpoint.config) else ""
    return Family(model_type, module, module.read_config(ConfigReader(config, prefix)))


def build(checkpoint: Checkpoint, family: Family, signatures: Sequence[Signature]) -> Model:
    """Write the graph of every signature. No weight is read.

    Raises:
        DamagedCheckpoint: a tensor is missing or misshapen.
        UnsupportedModel: the checkpoint has tensors that the family does not define.
    """
    weights = Weights(text_part(checkpoint))
    graphs = []
    for signature in signatures:
        step = Step(signature, family.config.caches, family.config.max_context)
        family.module.decoder(step, weights, family.config)
        step.graph.prune()
        graphs.append(step.graph)
    weights.check_all_used()
    return Model(tuple(graphs))
