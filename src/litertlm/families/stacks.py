"""The two orders of norms, attention and MLP that most families have.

A family gives its attention, and what else is its own; the tensor names are Hugging Face's.
"""

from __future__ import annotations

from collections.abc import Callable

from litertlm.families import blocks
from litertlm.families.blocks import Step, Weights
from litertlm.families.decoder_config import DecoderConfig
from litertlm.graph import Tensor, ops

Attention = Callable[[int, Tensor], Tensor]
Mlp = Callable[[str, Tensor], Tensor]


def pre_norm(
    step: Step,
    w: Weights,
    c: DecoderConfig,
    attention: Attention,
    *,
    mlp: Mlp | None = None,
    mlp_bias: bool = False,
    embedding_scale: float = 1.0,
    residual_scale: float | None = None,
    logits_scale: float = 1.0,
) -> None:
    """Llama's order: a norm before attention and a norm before the MLP.

    Args:
        attention: the number of a layer and its normalised input [1, S, H] to [1, S, H].
        mlp: the name of a layer's MLP module and its normalised input to [1, S, H]; the gated
            MLP where it is None.
        mlp_bias: whether the gated MLP has biases.
        residual_scale: multiplies what is added to the residual stream.
    """
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size, scale=embedding_scale)
    mlp = mlp or _gated_mlp(w, c, mlp_bias)

    def added(x: Tensor, y: Tensor) -> Tensor:
        return ops.add(x, y if residual_scale is None else ops.mul(y, residual_scale))

    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = blocks.rms_norm(x, w, p + "input_layernorm", c.rms_norm_eps)
        x = added(x, attention(i, y))
        y = blocks.rms_norm(x, w, p + "post_attention_layernorm", c.rms_norm_eps)
        x = added(x, mlp(p + "mlp", y))
    x = blocks.rms_norm(x, w, "model.norm", c.rms_norm_eps)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings, scale=logits_scale)


def gemma(
    step: Step, w: Weights, c: DecoderConfig, attention: Attention, *, softcap: float | None
) -> None:
    """Gemma's order: norms before and after attention and MLP, their weights stored less one.

    Args:
        attention: as in `pre_norm`.
        softcap: of the logits.
    """
    eps, plus = c.rms_norm_eps, 1.0
    x = blocks.embed(step, w, c.vocab_size, c.hidden_size, scale=c.hidden_size**0.5)
    mlp = _gated_mlp(w, c)
    for i in range(c.num_hidden_layers):
        p = f"model.layers.{i}."
        y = blocks.rms_norm(x, w, p + "input_layernorm", eps, plus=plus)
        y = attention(i, y)
        x = ops.add(x, blocks.rms_norm(y, w, p + "post_attention_layernorm", eps, plus=plus))
        y = blocks.rms_norm(x, w, p + "pre_feedforward_layernorm", eps, plus=plus)
        y = mlp(p + "mlp", y)
        x = ops.add(x, blocks.rms_norm(y, w, p + "post_feedforward_layernorm", eps, plus=plus))
    x = blocks.rms_norm(x, w, "model.norm", eps, plus=plus)
    blocks.head(step, x, w, c.vocab_size, tied=c.tie_word_embeddings, softcap=softcap)


def _gated_mlp(w: Weights, c: DecoderConfig, bias: bool = False) -> Mlp:
    width, activation = c.intermediate_size, c.hidden_act
    return lambda name, x: blocks.mlp(x, w, name, width, activation, bias=bias)
