"""Gemma 3n (E2B, E4B): four streams (AltUp), embeddings for each layer, sparse MLPs, shared caches.

Alone (`gemma3n_text`) or inside a multimodal model (`gemma3n`). Side by side with
transformers/models/gemma3n/modeling_gemma3n.py; same tensor names.

Letters in shapes: as in blocks.py; A streams (`altup_num_inputs`).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

from litertlm.families import blocks, gemma_blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import FULL, SLIDING, DecoderConfig, read_decoder
from litertlm.families.gemma3 import read_ropes
from litertlm.families.rope import Rope
from litertlm.families.step import Step
from litertlm.families.weights import Weights
from litertlm.graph import Tensor, ops
from litertlm.graph.state import KVCache, LayerStates

# What Gemma3nTextConfig assumes; multimodal checkpoints leave out what is equal to it.
DEFAULTS = {
    "vocab_size": 262400,
    "hidden_size": 2048,
    "intermediate_size": 16384,
    "num_hidden_layers": 35,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 32768,
    "tie_word_embeddings": True,
    "sliding_window": 512,
    "num_kv_shared_layers": 15,
    "final_logit_softcapping": 30.0,
}
_SMALLEST = 1e-5  # mean square of a stream that is scaled up


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are Gemma 3n's own; `intermediate_size` is that of the first layer.

    Attributes:
        rope: of layers with full attention.
        local_rope: of layers with a window.
        caches: for each layer the layer whose KV cache it reads; its own, or an earlier one's.
        intermediate_sizes: of each layer.
        sparsity: for each layer how many standard deviations above the mean a value of the gate
            must lie; None where the MLP is dense.
        vocab_size_per_layer_input, hidden_size_per_layer_input: of the embeddings that every
            layer adds.
    """

    local_rope: Rope
    caches: tuple[int, ...]
    intermediate_sizes: tuple[int, ...]
    sparsity: tuple[float | None, ...]
    attention_bias: bool
    altup_num_inputs: int
    altup_active_idx: int
    altup_correct_scale: bool
    laurel_rank: int
    vocab_size_per_layer_input: int
    hidden_size_per_layer_input: int
    final_logit_softcapping: float

    @property
    def states(self) -> LayerStates:
        """A KV cache in every layer that does not read another one's."""
        return [
            (KVCache(self.num_key_value_heads, self.head_dim, window),) if cache == i else ()
            for i, (cache, window) in enumerate(zip(self.caches, self.windows, strict=True))
        ]


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    c = c.with_defaults(**DEFAULTS)
    layers = c.size("num_hidden_layers", most=1024)
    sizes = _intermediate_sizes(c, layers)
    common = read_decoder(c.with_values(intermediate_size=sizes[0]), activation="hidden_activation")
    types = c.enum_list("layer_types", (FULL, SLIDING), layers)
    if types is None:
        types = tuple(SLIDING if (i + 1) % 5 else FULL for i in range(layers))
    streams = c.size("altup_num_inputs", 4, most=64)
    if streams == 1:
        raise c.unsupported("altup_num_inputs", "is 1: there is nothing to predict from")
    active = c.count("altup_active_idx", 0)
    if active >= streams:
        raise c.unsupported("altup_active_idx", f"is {active}, but there are {streams} streams")
    if not c.has("final_logit_softcapping"):
        raise c.unsupported("final_logit_softcapping", "is null")
    c.number("altup_coef_clip", 120.0)  # for training, but transformers checks its type
    window = c.size("sliding_window")
    rope, local_rope = read_ropes(c, common["head_dim"])
    return Config(
        **common,
        windows=tuple(window if kind == SLIDING else None for kind in types),
        rope=rope,
        local_rope=local_rope,
        caches=gemma_blocks.caches(c, types),
        intermediate_sizes=sizes,
        sparsity=_sparsity(c, layers),
        attention_bias=c.flag("attention_bias"),
        altup_num_inputs=streams,
        altup_active_idx=active,
        altup_correct_scale=c.flag("altup_correct_scale", True),
        laurel_rank=c.size("laurel_rank", 64),
        vocab_size_per_layer_input=c.size("vocab_size_per_layer_input", 262144),
        hidden_size_per_layer_input=c.size("hidden_size_per_layer_input", 256),
        final_logit_softcapping=c.positive("final_logit_softcapping", 30.0),
    )


def _intermediate_sizes(c: ConfigReader, layers: int) -> tuple[int, ...]:
    """One for all layers, or a list."""
    value = c.get("intermediate_size")
    if not isinstance(value, list):
        return (c.size("intermediate_size"),) * layers
    if len(value) != layers:
        raise c.unsupported("intermediate_size", f"must be a list of {layers} entries")
    return tuple(c.with_values(intermediate_size=size).size("intermediate_size") for size in value)


def _sparsity(c: ConfigReader, layers: int) -> tuple[float | None, ...]:
    """Cutoffs from `activation_sparsity_pattern`, the shares of values that become 0."""
    key = "activation_sparsity_pattern"
    value = c.get(key)
    if value is None:
        value = [0.95 if i < 10 < layers else 0.0 for i in range(layers)]
    if not isinstance(value, list) or len(value) != layers:
        raise c.unsupported(key, f"must be a list of {layers} entries")
    shares = [c.with_values(**{key: share}).number(key, 0.0) for share in value]
    if not all(0.0 <= share < 1.0 for share in shares):
        raise c.unsupported(key, "must hold numbers from 0 to below 1")
    return tuple(NormalDist().inv_cdf(share) if share else None for share in shares)


def decoder(step: Step, w: Weights, c: Config) -> None:
    """Gemma3nForCausalLM: embeddings, streams, layers, their mean, norm, head."""
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size, scale=c.hidden_size**0.5)
    own_inputs = gemma_blocks.per_layer_inputs(step, w, c, x)
    names = [f"model.altup_projections.{i}" for i in range(c.altup_num_inputs - 1)]
    streams = _stack([x, *(_as_large(blocks.linear(x, w, n, c.hidden_size), x) for n in names)])
    for i in range(c.num_hidden_layers):
        streams = _layer(step, w, c, i, streams, own_inputs)
    first, *others = (_stream(streams, i) for i in range(c.altup_num_inputs))
    total = first
    for i, other in enumerate(others):
        y = blocks.linear(other, w, f"model.altup_unembed_projections.{i}", c.hidden_size)
        total = ops.add(total, _as_large(y, first))
    x = ops.mul(total, 1.0 / c.altup_num_inputs)
    x = blocks.rms_norm(x, w, "model.norm", c.rms_norm_eps)
    softcap = c.final_logit_softcapping
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings, softcap=softcap)


def _stack(streams: list[Tensor]) -> Tensor:
    """Streams [1, S, H] as one tensor: [1, S, A, H]."""
    _, s, hidden = streams[0].shape
    return ops.concat([ops.reshape(x, (1, s, 1, hidden)) for x in streams], 2)


def _stream(streams: Tensor, index: int) -> Tensor:
    """One of the streams [1, S, A, H]: [1, S, H]."""
    _, s, _, hidden = streams.shape
    return ops.reshape(ops.slice_axis(streams, 2, index, 1), (1, s, hidden))


def _as_large(x: Tensor, like: Tensor) -> Tensor:
    """x with the root mean square of `like`, token by token; both [1, S, H]."""
    wanted = ops.sqrt(ops.mean_last(ops.mul(like, like)))
    found = ops.sqrt(ops.maximum(ops.mean_last(ops.mul(x, x)), _SMALLEST))
    return ops.mul(x, ops.div(wanted, found))


def _layer(
    step: Step, w: Weights, c: Config, layer: int, streams: Tensor, own_inputs: Tensor
) -> Tensor:
    """Streams [1, S, A, H] before a layer to those after it."""
    p, eps, active = f"model.layers.{layer}.", c.rms_norm_eps, c.altup_active_idx
    streams = _predict(w, c, p + "altup.", streams)
    x = _stream(streams, active)
    y = blocks.rms_norm(x, w, p + "input_layernorm", eps)
    laurel = _laurel(w, c, p + "laurel.", y)
    y = _attention(step, w, c, layer, y)
    x = ops.add(x, blocks.rms_norm(y, w, p + "post_attention_layernorm", eps))
    x = ops.mul(ops.add(x, laurel), 2**-0.5)
    y = blocks.rms_norm(x, w, p + "pre_feedforward_layernorm", eps)
    y = _mlp(w, c, layer, y)
    x = ops.add(x, blocks.rms_norm(y, w, p + "post_feedforward_layernorm", eps))
    streams = _correct(w, c, p + "altup.", streams, x)

    scale = w.get(p + "altup.correct_output_scale", c.hidden_size)
    x = _stream(streams, active)
    if c.altup_correct_scale:
        x = ops.mul(x, x.graph.constant(scale))
    y = gemma_blocks.per_layer_input(w, c, layer, x, own_inputs)
    others = ops.slice_axis(streams, 2, 1, c.altup_num_inputs - 1)
    others = ops.add(others, ops.reshape(y, (1, y.shape[1], 1, c.hidden_size)))
    return ops.concat([ops.slice_axis(streams, 2, 0, 1), others], 2)


def _modalities(w: Weights, c: Config, p: str, x: Tensor) -> Tensor:
    """How much of each stream x [1, S, H] asks for: [1, S, A]. A layer asks twice."""
    w.reuse(p + "router_norm.weight", p + "modality_router.weight")
    y = blocks.rms_norm(x, w, p + "router_norm", c.rms_norm_eps)
    y = ops.mul(y, 1.0 / c.hidden_size)
    return ops.tanh(blocks.float_linear(y, w, p + "modality_router", c.altup_num_inputs))


def _predict(w: Weights, c: Config, p: str, streams: Tensor) -> Tensor:
    """AltUp's prediction: each stream [1, S, A, H] plus a mixture of all of them."""
    count = c.altup_num_inputs
    modalities = _modalities(w, c, p, _stream(streams, c.altup_active_idx))
    coefs = blocks.float_linear(modalities, w, p + "prediction_coefs", count * count)
    coefs = ops.reshape(coefs, (1, streams.shape[1], count, count))
    return ops.add(streams, ops.batch_matmul(coefs, streams, transpose_b=False))


def _correct(w: Weights, c: Config, p: str, streams: Tensor, x: Tensor) -> Tensor:
    """AltUp's correction: each predicted stream [1, S, A, H] plus a share of what x [1, S, H]
    has that was not predicted."""
    _, s, hidden = x.shape
    modalities = _modalities(w, c, p, x)
    shares = blocks.float_linear(modalities, w, p + "correction_coefs", c.altup_num_inputs)
    shares = ops.reshape(ops.add(shares, 1.0), (1, s, c.altup_num_inputs, 1))
    new = ops.reshape(ops.sub(x, _stream(streams, c.altup_active_idx)), (1, s, 1, hidden))
    return ops.add(streams, ops.mul(new, shares))


def _laurel(w: Weights, c: Config, p: str, x: Tensor) -> Tensor:
    """LAuReL: x [1, S, H] plus its product with a matrix of low rank."""
    y = blocks.linear(x, w, p + "linear_left", c.laurel_rank)
    y = blocks.linear(y, w, p + "linear_right", c.hidden_size)
    return ops.add(x, blocks.rms_norm(y, w, p + "post_laurel_norm", c.rms_norm_eps))


def _mlp(w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    """The gated MLP; a sparse one keeps of its gate what lies above a cutoff."""
    p, width, cutoff = f"model.layers.{layer}.mlp", c.intermediate_sizes[layer], c.sparsity[layer]
    if cutoff is None:
        return blocks.mlp(x, w, p, width, c.hidden_act)
    gate = blocks.linear(x, w, f"{p}.gate_proj", width)
    mean = ops.mean_last(gate)
    spread = ops.sub(gate, mean)
    deviation = ops.sqrt(ops.mean_last(ops.mul(spread, spread)))
    gate = ops.relu(ops.sub(spread, ops.mul(deviation, cutoff)))
    up = blocks.linear(x, w, f"{p}.up_proj", width)
    gate = blocks.ACTIVATIONS[c.hidden_act](gate)
    return blocks.linear(ops.mul(gate, up), w, f"{p}.down_proj", c.hidden_size)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    return gemma_blocks.attention(
        step,
        w,
        layer,
        x,
        cache=c.caches[layer],
        heads=c.num_attention_heads,
        kv_heads=c.num_key_value_heads,
        head_dim=c.head_dim,
        rotate=step.rotation(c.rope if c.windows[layer] is None else c.local_rope),
        eps=c.rms_norm_eps,
        bias=c.attention_bias,
    )
