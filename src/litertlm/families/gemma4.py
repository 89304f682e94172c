"""Gemma 4 (E2B, E4B, 12B, 31B): embeddings for each layer, shared KV caches, two sizes of heads.

Alone (`gemma4_text`) or inside a multimodal model (`gemma4`). Side by side with
transformers/models/gemma4/modeling_gemma4.py; same tensor names. The 12B model has a type of its
own, `gemma4_unified`: the same layers without embeddings of their own, and other defaults.
"""

from __future__ import annotations

from dataclasses import dataclass

from litertlm.families import blocks, gemma_blocks
from litertlm.families.config_reader import ConfigReader
from litertlm.families.decoder_config import FULL, SLIDING, DecoderConfig, read_decoder
from litertlm.families.rope import Rope, read_rope
from litertlm.families.step import Step
from litertlm.families.weights import Weights
from litertlm.graph import Tensor, ops
from litertlm.graph.state import KVCache, LayerStates

# What Gemma4TextConfig assumes; multimodal checkpoints leave out what is equal to it.
DEFAULTS = {
    "vocab_size": 262144,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 30,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 131072,
    "tie_word_embeddings": True,
    "sliding_window": 512,
    "hidden_size_per_layer_input": 256,
}
_UNIFIED = {
    "max_position_embeddings": 262144,
    "sliding_window": 1024,
    "hidden_size_per_layer_input": 0,
}
_ROPES = {
    SLIDING: {"rope_type": "default", "rope_theta": 10000.0},
    FULL: {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1000000.0},
}


@dataclass(frozen=True)
class Config(DecoderConfig):
    """The keys that are Gemma 4's own; `head_dim`, `num_key_value_heads` and `rope` are those of
    layers with full attention.

    Attributes:
        local_head_dim, local_key_value_heads, local_rope: of layers with a window.
        caches: for each layer the layer whose KV cache it reads; its own, or an earlier one's.
        attention_k_eq_v: in layers with full attention, values are keys before their norm.
        use_double_wide_mlp: MLPs of layers without a cache are twice as wide.
        vocab_size_per_layer_input, hidden_size_per_layer_input: of the embeddings that every
            layer adds; the size is 0 where there are none.
    """

    local_head_dim: int
    local_key_value_heads: int
    local_rope: Rope
    caches: tuple[int, ...]
    attention_bias: bool
    attention_k_eq_v: bool
    use_double_wide_mlp: bool
    vocab_size_per_layer_input: int
    hidden_size_per_layer_input: int
    final_logit_softcapping: float | None

    def heads(self, layer: int) -> tuple[int, int]:
        """How many key/value heads a layer has, and their size."""
        if self.windows[layer] is None:
            return self.num_key_value_heads, self.head_dim
        return self.local_key_value_heads, self.local_head_dim

    def shares_cache(self, layer: int) -> bool:
        """Whether the layer reads the cache of an earlier one."""
        return self.caches[layer] != layer

    @property
    def states(self) -> LayerStates:
        """A KV cache in every layer that does not read another one's."""
        return [
            () if self.shares_cache(i) else (KVCache(*self.heads(i), window=window),)
            for i, window in enumerate(self.windows)
        ]


def read_config(c: ConfigReader) -> Config:
    """Raises UnsupportedModel with the key, for a value that is not supported."""
    unified = c.get("model_type") == "gemma4_unified_text"
    c = c.with_defaults(**(DEFAULTS | _UNIFIED if unified else DEFAULTS))
    if unified and c.count("hidden_size_per_layer_input"):
        raise c.unsupported("hidden_size_per_layer_input", "is not read for a model of this type")
    if c.flag("enable_moe_block"):
        raise c.unsupported("enable_moe_block", "is true; mixtures of experts are not supported")
    for key in ("num_experts", "top_k_experts", "moe_intermediate_size"):
        if c.has(key):
            c.count(key)  # not used, but transformers checks its type
    # Between the tokens of an image, which text does not have.
    if c.has("use_bidirectional_attention") and c.get("use_bidirectional_attention") != "vision":
        raise c.unsupported("use_bidirectional_attention", "is set; only causal models can be run")
    if c.prefix and "pad_token_id" in c.values and not c.has("pad_token_id"):
        raise c.unsupported("pad_token_id", "is null in a multimodal model")
    if c.has("rope_scaling"):
        raise c.unsupported("rope_scaling", "is set, but a Gemma 4 has rope_parameters")
    common = read_decoder(c, activation="hidden_activation")
    types = _layer_types(c, common["num_hidden_layers"])
    caches = gemma_blocks.caches(c, types)
    full, local = _head_sizes(c, types)
    if not c.has("rope_parameters"):
        c = c.with_values(rope_parameters=_ROPES)
    ropes = c.section("rope_parameters")
    for kind in sorted(set(types)):
        if not ropes.mapping(kind):
            raise ropes.unsupported(kind, "is missing, and layers have this type")
        if not ropes.section(kind).has("rope_theta"):
            raise ropes.section(kind).unsupported("rope_theta", "is missing")
    window, per_layer = c.size("sliding_window"), c.count("hidden_size_per_layer_input")
    vocab = c.size("vocab_size_per_layer_input", 262144)
    if per_layer and vocab < common["vocab_size"]:
        raise c.unsupported("vocab_size_per_layer_input", f"is below {common['vocab_size']} tokens")
    common |= {"num_key_value_heads": full[0], "head_dim": full[1]}
    return Config(
        **common,
        windows=tuple(window if kind == SLIDING else None for kind in types),
        rope=read_rope(c, full[1], scaling=ropes.section(FULL), by_layer=True),
        local_rope=read_rope(c, local[1], scaling=ropes.section(SLIDING), by_layer=True),
        local_key_value_heads=local[0],
        local_head_dim=local[1],
        caches=caches,
        attention_bias=c.flag("attention_bias"),
        attention_k_eq_v=c.flag("attention_k_eq_v"),
        use_double_wide_mlp=c.flag("use_double_wide_mlp"),
        vocab_size_per_layer_input=vocab,
        hidden_size_per_layer_input=per_layer,
        final_logit_softcapping=c.optional_positive("final_logit_softcapping"),
    )


def _layer_types(c: ConfigReader, layers: int) -> tuple[str, ...]:
    """The type of each layer; as in transformers, the last one always has full attention."""
    types = c.enum_list("layer_types", (FULL, SLIDING), layers)
    if types is None:
        types = tuple(SLIDING if (i + 1) % 6 else FULL for i in range(layers))
    return (*types[:-1], FULL)


def _head_sizes(c: ConfigReader, types: tuple[str, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Key/value heads and their size, of layers with full attention and of those with a window.

    Newer versions of transformers write them layer by layer, older ones for all global layers.
    """
    kv_heads, head_dim = c.size("num_key_value_heads"), c.size("head_dim")
    if c.has("per_layer_config"):
        sizes = [_own_sizes(c, types, kind, kv_heads, head_dim) for kind in (FULL, SLIDING)]
    else:
        if c.flag("attention_k_eq_v"):
            full_heads = c.size("num_global_key_value_heads", kv_heads)
        else:
            full_heads = kv_heads
        sizes = [(full_heads, c.size("global_head_dim", 512)), (kv_heads, head_dim)]
    heads = c.size("num_attention_heads")
    for count, _ in sizes:
        if heads % count:
            raise c.unsupported("num_key_value_heads", f"({count}) does not divide {heads} heads")
    return sizes[0], sizes[1]


def _own_sizes(
    c: ConfigReader, types: tuple[str, ...], kind: str, kv_heads: int, head_dim: int
) -> tuple[int, int]:
    """The sizes of one type of layers in `per_layer_config`."""
    sections = c.section("per_layer_config")
    layers = {}
    for key in sections.values:
        if not key.isdecimal() or int(key) >= len(types):
            raise sections.unsupported(key, f"is not one of {len(types)} layers")
        layers[int(key)] = sections.section(key)
    found = set()
    for i in [i for i, other in enumerate(types) if other == kind]:
        own = layers.get(i)
        if own is None:
            found.add((kv_heads, head_dim))
            continue
        found.add((own.size("num_key_value_heads", kv_heads), own.size("head_dim", head_dim)))
        for key in own.unread():
            raise own.unsupported(key, "is set for a layer; only heads can differ")
    if len(found) > 1:
        raise c.unsupported("per_layer_config", f"has different heads in layers of type {kind}")
    return found.pop() if found else (kv_heads, head_dim)


def decoder(step: Step, w: Weights, c: Config) -> None:
    """Gemma4ForCausalLM: embeddings, layers, norm, head."""
    eps = c.rms_norm_eps
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size, scale=c.hidden_size**0.5)
    own_inputs = None
    if c.hidden_size_per_layer_input:
        own_inputs = gemma_blocks.per_layer_inputs(step, w, c, x)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = blocks.rms_norm(x, w, p + "input_layernorm", eps)
        y = _attention(step, w, c, i, y)
        x = ops.add(x, blocks.rms_norm(y, w, p + "post_attention_layernorm", eps))
        y = blocks.rms_norm(x, w, p + "pre_feedforward_layernorm", eps)
        wide = c.use_double_wide_mlp and c.shares_cache(i)
        y = blocks.mlp(y, w, p + "mlp", c.intermediate_size * (2 if wide else 1), c.hidden_act)
        x = ops.add(x, blocks.rms_norm(y, w, p + "post_feedforward_layernorm", eps))
        if own_inputs is not None:
            x = ops.add(x, gemma_blocks.per_layer_input(w, c, i, x, own_inputs))
        x = ops.mul(x, x.graph.constant(w.get(p + "layer_scalar", 1)))
    x = blocks.rms_norm(x, w, "model.norm", eps)
    softcap = c.final_logit_softcapping
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings, softcap=softcap)


def _attention(step: Step, w: Weights, c: Config, layer: int, x: Tensor) -> Tensor:
    full = c.windows[layer] is None
    kv_heads, head_dim = c.heads(layer)
    return gemma_blocks.attention(
        step,
        w,
        layer,
        x,
        cache=c.caches[layer],
        heads=c.num_attention_heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        rotate=step.rotation(c.rope if full else c.local_rope),
        eps=c.rms_norm_eps,
        bias=c.attention_bias,
        values_are_keys=c.attention_k_eq_v and full,
    )
