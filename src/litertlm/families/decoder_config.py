"""The config keys that all decoder-only families share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litertlm.families import blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.rope import Rope
from litertlm.graph.state import KVCache, LayerStates

FULL, SLIDING = "full_attention", "sliding_attention"
MOST_LAYERS = 1024


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """The keys of config.json that every family has, under their own names.

    Attributes:
        windows: for each layer how many positions a token sees, or None for all; empty where no
            layer has a window.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rms_norm_eps: float
    hidden_act: str
    tie_word_embeddings: bool
    rope: Rope
    windows: tuple[int | None, ...] = ()

    @property
    def max_context(self) -> int:
        """The most tokens that the model can attend to, with each of its rotations."""
        ropes = [value for value in vars(self).values() if isinstance(value, Rope)]
        most = self.max_position_embeddings
        return min(most, *(rope.max_positions or most for rope in ropes))

    @property
    def states(self) -> LayerStates:
        """A KV cache in every layer."""
        windows = self.windows or (None,) * self.num_hidden_layers
        return [(KVCache(self.num_key_value_heads, self.head_dim, w),) for w in windows]


def read_decoder(c: ConfigReader, *, activation: str | None = "hidden_act") -> dict[str, Any]:
    """The values of DecoderConfig but `rope` and `windows`.

    Args:
        activation: the key of the activation's name; None where it is always `silu`.

    Raises:
        UnsupportedModel: a key is missing, or its value is not supported.
    """
    if not c.flag("is_causal", True):
        raise c.unsupported("is_causal", "is false; only causal models can be run")
    if activation is not None and activation in c.values and not c.has(activation):
        raise c.unsupported(activation, "is null")
    hidden, heads = c.size("hidden_size"), c.size("num_attention_heads")
    kv_heads = c.size("num_key_value_heads", heads)
    if heads % kv_heads:
        raise c.unsupported("num_key_value_heads", f"({kv_heads}) does not divide {heads} heads")
    if not c.has("head_dim") and hidden % heads:
        raise c.unsupported("num_attention_heads", f"({heads}) does not divide {hidden}")
    return {
        "vocab_size": c.size("vocab_size"),
        "hidden_size": hidden,
        "intermediate_size": c.size("intermediate_size"),
        "num_hidden_layers": c.size("num_hidden_layers", most=MOST_LAYERS),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": c.size("head_dim", hidden // heads),
        "max_position_embeddings": c.size("max_position_embeddings", 2048),
        "rms_norm_eps": c.positive("rms_norm_eps", 1e-6),
        "hidden_act": "silu"
        if activation is None
        else c.choice(activation, tuple(blocks.ACTIVATIONS), "silu"),
        "tie_word_embeddings": c.flag("tie_word_embeddings"),
    }


def layer_windows(
    c: ConfigReader, window: int | None, sliding: Sequence[bool]
) -> tuple[int | None, ...]:
    """The attention window of each layer in tokens; None sees everything.

    Args:
        window: `sliding_window`, or None where the config disables it.
        sliding: which layers have it where the config has no `layer_types`.
    """
    types = c.enum_list("layer_types", (FULL, SLIDING), len(sliding))
    if types is None:
        key, types = "sliding_window", tuple(SLIDING if has else FULL for has in sliding)
    else:
        key = "layer_types"
    if SLIDING in types and window is None:
        raise c.unsupported(key, f"leaves {SLIDING} without a window")
    return tuple(window if kind == SLIDING else None for kind in types)


def switched_window(c: ConfigReader) -> int | None:
    """`sliding_window`, in families where `use_sliding_window` enables it."""
    enabled = c.flag("use_sliding_window")
    return c.optional_size("sliding_window") if c.has("sliding_window") and enabled else None
