"""Which known family is nearest to an unknown one: where a contributor can begin."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litertlm.checkpoint import Checkpoint, StoredTensor, Tokenizer
from litertlm.errors import LiteRtLmError
from litertlm.families.config_keys import is_harmless
from litertlm.families.config_reader import ConfigReader
from litertlm.families.multimodal import OTHER_PARTS, text_name
from litertlm.families.reference_keys import KEYS
from litertlm.families.step import Signature, Step
from litertlm.families.weights import DERIVED_TENSORS, Weights
from litertlm.graph import GraphError

# Layers that are compared; where layers differ, more until one of each type is among them.
_LAYERS = 2
_LAYER = re.compile(r"\.layers\.(\d+)\.")
_MOST_KEYS = 8  # of a message
_PLAINEST = "llama"  # of several that are equally near
# Keys of every family as transformers 4 wrote them, and of other parts.
_OTHER_KEYS = frozenset({"rope_theta", "rope_scaling", "text_config", "vision_config"})


@dataclass(frozen=True)
class Nearest:
    """A known family, and in what the unknown one differs.

    Attributes:
        family: its `model_type`.
        more_tensors: names that only the checkpoint has; None if its tensors are not known.
        fewer_tensors: names that only the family has.
        more_keys: keys of config.json that the family's config class does not have.
    """

    family: str
    more_tensors: tuple[str, ...] | None
    fewer_tensors: tuple[str, ...]
    more_keys: tuple[str, ...]

    def __str__(self) -> str:
        """One or two sentences."""
        if self.more_tensors is None:
            text = f"By its config.json, the nearest known family is {self.family}."
        elif not self.more_tensors and not self.fewer_tensors:
            text = f"The nearest known family is {self.family}: the tensors have the same names."
        else:
            text = f"The nearest known family is {self.family}. "
            text += " ".join(
                f"Only {whose} has {_listed(names)}."
                for whose, names in (
                    ("the checkpoint", self.more_tensors),
                    (self.family, self.fewer_tensors),
                )
                if names
            )
        if self.more_keys:
            text += f" Keys that {self.family} does not have: {_listed(self.more_keys)}."
        return text


def nearest(config: Mapping[str, Any], names: Iterable[str] | None) -> Nearest | None:
    """The family whose tensors have most names in common with `names`, then whose config lacks
    fewest keys; None if no family has half of either.

    Args:
        config: config.json of the unknown model.
        names: of its tensors, or None where only the config is known.
    """
    section = config.get("text_config")
    values = {**config, **section} if isinstance(section, Mapping) else dict(config)
    keys = {key for key in values if not is_harmless(key)} - _OTHER_KEYS
    layers = _compared_layers(values)
    stored = None if names is None else _plain_names(names, layers)
    best: tuple[tuple[float, int], Nearest] | None = None
    for family in sorted(KEYS, key=lambda name: (name != _PLAINEST, name)):
        known = KEYS[family]
        own_keys = {key for key in known if not is_harmless(key)} - _OTHER_KEYS
        by_keys = _likeness(keys, own_keys)
        more, fewer, by_names = None, frozenset[str](), by_keys
        if stored is not None:
            # Some families do not accept fewer layers, of which the last ones differ.
            own = _tensor_names(family, values, layers) or _tensor_names(family, values, None)
            if own is None:
                continue
            own = _plain_names(own, layers)
            more, fewer, by_names = stored - own, own - stored, _likeness(stored, own)
        score = (by_names, -len(keys - own_keys))
        if by_names >= 0.5 and (best is None or score > best[0]):
            best = (
                score,
                Nearest(
                    family,
                    None if more is None else tuple(sorted(more)),
                    tuple(sorted(fewer)),
                    tuple(sorted(keys - own_keys)),
                ),
            )
    return best and best[1]


def _listed(names: tuple[str, ...]) -> str:
    shown = [f"{name:.80}" for name in names[:_MOST_KEYS]]
    more = f" and {len(names) - _MOST_KEYS} more" if len(names) > _MOST_KEYS else ""
    return ascii(", ".join(shown))[1:-1] + more


def _likeness(one: set[str] | frozenset[str], other: set[str] | frozenset[str]) -> float:
    return len(one & other) / max(1, len(one | other))


def _compared_layers(config: Mapping[str, Any]) -> int:
    """How many layers have all types of layers among them, by the keys for types."""
    types, attention = config.get("layer_types"), config.get("full_attn_idxs")
    firsts = [_LAYERS - 1]
    if isinstance(types, list):
        firsts += [types.index(kind) for kind in types if isinstance(kind, str)]
    if isinstance(attention, list):
        firsts += sorted(i for i in attention if type(i) is int)[:1]
    return max(firsts) + 1


def _plain_names(names: Iterable[str], layers: int) -> frozenset[str]:
    """The names of the first layers, as text-only checkpoints have them."""
    plain = (text_name(name) for name in names)
    return frozenset(
        name
        for name in plain
        if name.startswith(("model.", "lm_head."))
        and not name.removeprefix("model.").startswith(OTHER_PARTS)
        and not name.endswith(DERIVED_TENSORS)
        and ((layer := _LAYER.search(name)) is None or int(layer[1]) < layers)
    )


def _tensor_names(
    family: str, config: Mapping[str, Any], layers: int | None
) -> frozenset[str] | None:
    """The tensors that a family asks for with this config; None if it does not accept it.

    Args:
        layers: only the first ones; None for all.
    """
    from litertlm.families import FAMILIES

    all_layers = config.get("num_hidden_layers")
    values: dict[str, Any] = {
        # Lists with an entry for each layer are cut to the first layers.
        key: value[:layers] if isinstance(value, list) and len(value) == all_layers else value
        for key, value in config.items()
    }
    values |= {"num_hidden_layers": layers or all_layers, "model_type": family}
    module = importlib.import_module(f"litertlm.families.{FAMILIES[family]}")
    weights = _RequestedNames(Checkpoint(Path(), "safetensors", values, {}, {}, _NO_TOKENIZER))
    try:
        read = module.read_config(ConfigReader(values))
        step = Step(Signature("decode", 1, 16, logits=True), read.states, read.max_context)
        module.decoder(step, weights, read)
    except (LiteRtLmError, GraphError):
        return None
    return frozenset(weights.requested)


_NO_TOKENIZER = Tokenizer(
    None, None, {}, None, adds_bos=False, bos_token_id=None, eos_token_id=None
)


@dataclass(frozen=True)
class _Requested:
    """A tensor of which only the name and the shape are known."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "F32"
    nbytes: int = 0

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Zeros."""
        return np.zeros((stop - start, *self.shape[1:]), np.float32)


@dataclass(eq=False)
class _RequestedNames(Weights):
    """Weights that accept every name, and record it."""

    requested: set[str] = field(default_factory=set)

    def _stored(self, name: str, shape: tuple[int, ...]) -> StoredTensor:
        self.requested.add(name)
        return _Requested(name, shape)
