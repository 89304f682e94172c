"""Operations of the runtime that TFLite itself lacks: custom operators of LiteRT-LM's delegate.

Their options are written as a flexbuffer. The LiteRT interpreter (`ai-edge-litert` 2.3) does not
have them; the runtime (`litert-lm-api` 0.18.1) does, for static and dynamic S
(tests/e2e/test_custom_operations.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from litertlm.graph.ops.elementwise import GELU
from litertlm.graph.ops.operation import (
    FLOAT32,
    INT32,
    Array,
    Attrs,
    Inputs,
    Operation,
    Results,
    emit,
    emit_all,
    want,
)
from litertlm.graph.types import Tensor


def gated_delta_update(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, g: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """The gated delta rule over the tokens of a call (Yang et al. 2024, Gated Delta Networks).

    For each head and token, with state M [d_k, d_v]:
    M = exp(g) M, M = M + beta k^T (v - k M), and the result is q M.

    Args:
        q, k: [1, H, S, d_k], as many key as value heads. v: [1, H, S, d_v].
        beta, g: [1, H, S].
        state: [1, H, d_k, d_v].

    Returns:
        The result [1, H, S, d_v] and the new state.
    """
    core, after = emit_all(GATED_DELTA_UPDATE, q, k, v, beta, g, state)
    return core, after


def _gated_delta_update(inputs: Inputs, attrs: Attrs) -> Results:
    q, k, v, beta, g, state = inputs
    want(all(t.dtype is FLOAT32 for t in inputs), "not float32")
    want(len(q.shape) == 4 and q.shape == k.shape, "q and k differ")
    want(v.shape[:-1] == q.shape[:-1], "v has other heads or tokens")
    want(beta.shape == g.shape == q.shape[:-1], "beta and g are not [1, H, S]")
    want(state.shape == (*q.shape[:2], q.shape[3], v.shape[3]), "the state is not [1, H, d_k, d_v]")
    return (v.shape, FLOAT32), (state.shape, FLOAT32)


def _evaluate_gated_delta_update(x: Sequence[Any], attrs: Attrs) -> tuple[Array, ...]:
    q, k, v, beta, g, state = x
    state = np.array(state)
    core = np.empty_like(v)
    for t in range(q.shape[2]):
        state *= np.exp(g[:, :, t, None, None])
        found = np.einsum("bhk,bhkv->bhv", k[:, :, t], state)
        change = beta[:, :, t, None] * (v[:, :, t] - found)
        state += np.einsum("bhk,bhv->bhkv", k[:, :, t], change)
        core[:, :, t] = np.einsum("bhk,bhkv->bhv", q[:, :, t], state)
    return core, state


GATED_DELTA_UPDATE = Operation(
    "gated_delta_update", _gated_delta_update, _evaluate_gated_delta_update
)


def moe(
    x: Tensor,
    top_weights: Tensor,
    top_indices: Tensor,
    gate: Tensor,
    up: Tensor,
    down: Tensor,
    expert_scale: Tensor,
    *,
    approximate: bool,
) -> Tensor:
    """The chosen experts' gated MLPs with GELU, weighted: [1, S, D].

    Args:
        x: [1, S, D].
        top_weights, top_indices: of the chosen experts, [1, S, k]; indices are INT32. The
            runtime takes weights that add up to one (`renormalized_top_weights`).
        gate, up: [F, E, 1, D]. down: [D, E, 1, F].
        expert_scale: of each expert's result, [1, 1, 1, E].
        approximate: the tanh form of GELU.
    """
    return emit(
        MOE, x, top_weights, top_indices, gate, up, down, expert_scale, approximate=approximate
    )


def _moe(inputs: Inputs, attrs: Attrs) -> Results:
    x, weights, indices, gate, up, down, scale = inputs
    want(all(t.dtype is FLOAT32 for t in (x, weights, gate, up, down, scale)), "not float32")
    want(indices.dtype is INT32 and indices.shape == weights.shape, "indices do not fit weights")
    want(len(x.shape) == len(weights.shape) == 3, "not [1, S, D] and [1, S, k]")
    want(x.shape[:2] == weights.shape[:2], "not as many tokens")
    want(len(gate.shape) == 4 and gate.shape == up.shape, "gate and up differ")
    width, experts, one, hidden = gate.shape
    want(one == 1 and x.shape[2] == hidden, "gate is not [F, E, 1, D]")
    want(down.shape == (hidden, experts, 1, width), "down is not [D, E, 1, F]")
    want(scale.shape == (1, 1, 1, experts), "expert_scale is not [1, 1, 1, E]")
    return ((x.shape, FLOAT32),)


def _evaluate_moe(x: Sequence[Any], attrs: Attrs) -> Array:
    tokens, weights, indices, gate, up, down, scale = x
    out: Array = np.zeros_like(tokens)
    for b, s, j in np.ndindex(*indices.shape):
        e, token = indices[b, s, j], tokens[b, s]
        inner = gate[:, e, 0] @ token
        inner = GELU.evaluate([inner], attrs) * (up[:, e, 0] @ token)
        out[b, s] += weights[b, s, j] * scale[0, 0, 0, e] * (down[:, e, 0] @ inner)
    return out


MOE = Operation("moe", _moe, _evaluate_moe)
