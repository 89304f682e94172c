"""What Gemma 3n and Gemma 4 have in common: embeddings for each layer, and shared KV caches.

Letters in shapes: as in blocks.py; L layers, P size of a layer's own input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from litertlm.families import blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.rope import Rotation
from litertlm.families.step import Step
from litertlm.families.weights import Weights
from litertlm.graph import Tensor, ops

PER_LAYER_EMBEDDING = "model.embed_tokens_per_layer.weight"


class PerLayerConfig(Protocol):
    """The keys of config.json that the inputs of each layer depend on."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def hidden_size(self) -> int: ...
    @property
    def num_hidden_layers(self) -> int: ...
    @property
    def rms_norm_eps(self) -> float: ...
    @property
    def hidden_act(self) -> str: ...
    @property
    def vocab_size_per_layer_input(self) -> int: ...
    @property
    def hidden_size_per_layer_input(self) -> int: ...


def caches(c: ConfigReader, types: Sequence[str]) -> tuple[int, ...]:
    """For each layer the layer whose KV cache it reads: of the last `num_kv_shared_layers`, the
    last layer of their type before them.

    Args:
        types: of each layer.

    Raises:
        UnsupportedModel: no layer of a type has a cache.
    """
    shared = c.count("num_kv_shared_layers", 0)
    first = len(types) - shared
    own = types[: max(first, 0)]
    if set(own) != set(types):
        raise c.unsupported(
            "num_kv_shared_layers", f"({shared}) leaves a type of layers without a cache"
        )
    last = {kind: first - 1 - own[::-1].index(kind) for kind in set(types)}
    return tuple(i if i < first else last[kind] for i, kind in enumerate(types))


def per_layer_inputs(step: Step, w: Weights, c: PerLayerConfig, x: Tensor) -> Tensor:
    """What each layer adds, from a table of its own and from the embedding x [1, S, H]:
    [1, S, L, P]. Tokens beyond the table have its first row."""
    size, layers, s = c.hidden_size_per_layer_input, c.num_hidden_layers, step.signature.tokens
    vocab, width = c.vocab_size_per_layer_input, layers * size
    ids = ops.reshape(step.tokens, (s,))
    if vocab < c.vocab_size:
        ids = ops.select(ops.less(ids, vocab), ids, 0)
    own = blocks.lookup(ids, w, PER_LAYER_EMBEDDING, vocab, width, scale=size**0.5)
    projected = blocks.linear(x, w, "model.per_layer_model_projection", width)
    projected = ops.reshape(ops.mul(projected, c.hidden_size**-0.5), (1, s, layers, size))
    projected = blocks.rms_norm(projected, w, "model.per_layer_projection_norm", c.rms_norm_eps)
    return ops.mul(ops.add(projected, ops.reshape(own, (1, s, layers, size))), 2**-0.5)


def per_layer_input(
    w: Weights, c: PerLayerConfig, layer: int, x: Tensor, own_inputs: Tensor
) -> Tensor:
    """A layer's own input, gated by x [1, S, H]: [1, S, H].

    Args:
        own_inputs: of all layers, [1, S, L, P].
    """
    p, size = f"model.layers.{layer}.", c.hidden_size_per_layer_input
    gate = blocks.linear(x, w, p + "per_layer_input_gate", size)
    own = ops.reshape(ops.slice_axis(own_inputs, 2, layer, 1), (1, x.shape[1], size))
    y = ops.mul(blocks.ACTIVATIONS[c.hidden_act](gate), own)
    y = blocks.linear(y, w, p + "per_layer_projection", c.hidden_size)
    return blocks.rms_norm(y, w, p + "post_per_layer_input_norm", c.rms_norm_eps)


def attention(
    step: Step,
    w: Weights,
    layer: int,
    x: Tensor,
    *,
    cache: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    rotate: Rotation,
    eps: float,
    bias: bool,
    values_are_keys: bool = False,
) -> Tensor:
    """The module `self_attn` of a layer: norms of queries, keys and values, no scale of scores.

    Args:
        x: [1, S, H].
        cache: the layer whose cache it reads. A layer that reads another one's has no keys and
            values of its own; those that a checkpoint stores are ignored, as in transformers.
        values_are_keys: values are keys before their norm, and `v_proj` does not exist.

    Returns:
        [1, S, H].
    """
    p, hidden = f"model.layers.{layer}.self_attn.", x.shape[-1]
    assert isinstance(hidden, int)

    def project(name: str, count: int) -> Tensor:
        y = blocks.linear(x, w, p + name, count * head_dim, bias=bias)
        return blocks.split_heads(y, count)

    q = rotate(blocks.rms_norm(project("q_proj", heads), w, p + "q_norm", eps))
    if cache == layer:
        k = project("k_proj", kv_heads)
        v = blocks.unit_rms(k if values_are_keys else project("v_proj", kv_heads), eps)
        k = rotate(blocks.rms_norm(k, w, p + "k_norm", eps))
        step.update_cache(layer, k, ops.transpose(v, (0, 1, 3, 2)))
    else:
        modules = [f"{p}{name}" for name in ("k_proj", "v_proj", "k_norm")]
        w.ignore(*(f"{module}.{kind}" for module in modules for kind in ("weight", "bias")))
    y = blocks.attend(step, cache, q, scale=1.0)
    return blocks.linear(y, w, p + "o_proj", hidden, bias=bias)
