"""Model families: which `model_type` is written by which module, and how a model is built.

A family module has `read_config(ConfigReader) -> Config` and `decoder(Step, Weights, Config)`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from litertlm.checkpoint import Checkpoint
from litertlm.errors import UnsupportedModel
from litertlm.families.config_keys import check_nulls, unknown_keys
from litertlm.families.config_reader import ConfigReader
from litertlm.families.multimodal import MULTIMODAL, is_multimodal, text_config, text_part
from litertlm.families.step import Signature, Step
from litertlm.families.weights import Weights
from litertlm.graph import Model
from litertlm.graph.state import LayerStates, state_bytes

__all__ = [
    "FAMILIES",
    "MODEL_TYPES",
    "Family",
    "FamilyConfig",
    "Signature",
    "check_model_type",
    "identify",
]

# model_type of config.json -> module. One row per family.
FAMILIES = {
    "apertus": "apertus",
    "arcee": "arcee",
    "cohere2": "cohere2",
    "ernie4_5": "ernie4_5",
    "exaone4": "exaone4",
    "gemma": "gemma",
    "gemma2": "gemma2",
    "gemma3_text": "gemma3",
    "gemma3n_text": "gemma3n",
    "gemma4_text": "gemma4",
    "gemma4_unified_text": "gemma4",
    "glm": "glm",
    "glm4": "glm4",
    "granite": "granite",
    "granitemoehybrid": "granitemoehybrid",
    "helium": "helium",
    "hunyuan_v1_dense": "hunyuan_v1_dense",
    "internlm3": "internlm3",
    "lfm2": "lfm2",
    "lfm3": "lfm3",
    "llama": "llama",
    "minicpm3": "minicpm3",
    "ministral3": "ministral3",
    "mistral": "mistral",
    "nemotron": "nemotron",
    "olmo": "olmo",
    "olmo2": "olmo2",
    "olmo3": "olmo3",
    "phi": "phi",
    "phi3": "phi3",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "seed_oss": "seed_oss",
    "smollm3": "smollm3",
    "stablelm": "stablelm",
    "starcoder2": "starcoder2",
}

# Every model_type that can be converted, those of multimodal checkpoints included.
MODEL_TYPES = tuple(sorted({*FAMILIES, *MULTIMODAL}))


class FamilyConfig(Protocol):
    """What the rest of the program asks of a family's config."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def max_context(self) -> int: ...
    @property
    def states(self) -> LayerStates: ...


@dataclass(frozen=True)
class Family:
    """A model's family with its parsed config.

    Attributes:
        name: the `model_type`, of the language model where there are other parts.
        module: the family's module.
        config: its Config.
        unknown_keys: keys of config.json that neither the family nor transformers reads.
    """

    name: str
    module: Any
    config: FamilyConfig
    unknown_keys: tuple[str, ...] = ()

    @property
    def states(self) -> LayerStates:
        """The states of each layer."""
        return self.config.states

    @property
    def max_context(self) -> int:
        """The most tokens that the model can attend to."""
        return self.config.max_context

    def state_bytes(self, length: int) -> int:
        """Bytes of the states in memory, for a context of `length` tokens."""
        return state_bytes(self.states, length)

    def build(self, checkpoint: Checkpoint, signatures: Sequence[Signature]) -> Model:
        """Write the graph of every signature. No weight is read, except to find out whether a
        head that is stored beside tied embeddings is equal to them.

        Raises:
            DamagedCheckpoint: a tensor is missing or misshapen.
            UnsupportedModel: the checkpoint has tensors that the family does not define.
        """
        weights = Weights(text_part(checkpoint))
        graphs = []
        for signature in signatures:
            step = Step(signature, self.states, self.max_context)
            self.module.decoder(step, weights, self.config)
            graphs.append(step.finish())
        weights.check_all_used()
        return Model(tuple(graphs))


def check_model_type(
    config: Mapping[str, Any], tensor_names: Callable[[], Iterable[str] | None] = lambda: None
) -> str:
    """The `model_type` of the language model.

    Args:
        tensor_names: names of the checkpoint's tensors, where they are known; they are asked for
            only to tell which known family is nearest to an unknown one.

    Raises:
        UnsupportedModel: no family has it.
    """
    model_type = text_config(config).get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        from litertlm.families.nearest import nearest  # few checkpoints need it

        found = nearest(config, tensor_names())
        raise UnsupportedModel(
            f"Models of type {model_type!r} cannot be converted.",
            why=f"config.json: model_type is not one of {', '.join(MODEL_TYPES)}.",
            hint="`litert-lm-cli models` lists what can be run."
            + (f"\n{found} docs/adding-a-family.md tells how to add one." if found else ""),
        )
    return model_type


def identify(config: Mapping[str, Any]) -> Family:
    """The family of a model, from its config.json.

    Raises:
        UnsupportedModel: an unknown `model_type`, or a config key that is not supported.
    """
    model_type = check_model_type(config)
    module = importlib.import_module(f"litertlm.families.{FAMILIES[model_type]}")
    prefix = "text_config." if is_multimodal(config) else ""
    reader = ConfigReader(text_config(config), prefix)
    check_nulls(reader, model_type)
    family_config = module.read_config(reader)
    return Family(model_type, module, family_config, unknown_keys(reader, model_type))
