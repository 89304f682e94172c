"""Rotation changes what is quantized, never what is computed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from litertlm.graph import Constant, DType, Graph, Model, ops
from litertlm.graph.verify import verify
from litertlm.quantize.kernels import int8_rows
from litertlm.quantize.rotate import BLOCK, hadamard, rotate, rotated_weight


def weight(values: NDArray[np.float32]) -> Constant:
    return Constant("w", values.shape, DType.FLOAT32, lambda a, b: values[a:b].copy())


def rotate_input(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return (x.reshape(-1, BLOCK) @ hadamard()).reshape(x.shape)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 40))
def test_product_is_the_same(seed: int, blocks: int, rows: int) -> None:
    random = np.random.RandomState(seed)
    w = random.standard_normal((rows, BLOCK * blocks)).astype(np.float32)
    x = random.standard_normal((7, BLOCK * blocks)).astype(np.float32)
    rotated_w = rotated_weight(weight(w)).read()
    error = np.abs(rotate_input(x) @ rotated_w.T - x @ w.T).max()
    assert error < 1e-4 * np.linalg.norm(w, axis=1).max() * np.linalg.norm(x, axis=1).max()


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_blocks_of_rows_do_not_change_the_result(seed: int, cut: int) -> None:
    w = np.random.RandomState(seed).standard_normal((9, 3 * BLOCK)).astype(np.float32)
    rotated_w = rotated_weight(weight(w))
    parts = [rotated_w.rows(0, cut), rotated_w.rows(cut, 9)]
    assert np.array_equal(rotated_w.read(), np.concatenate(parts))


def test_rows_of_zeros_stay_zeros() -> None:
    rotated_w = rotated_weight(weight(np.zeros((2, BLOCK), np.float32))).read()
    assert not rotated_w.any()


def test_an_outlier_no_longer_takes_the_range_of_its_token() -> None:
    """The reason for it all: the error of int8 activations with one outlier channel."""
    random = np.random.RandomState(0)
    x = random.standard_normal((16, 4 * BLOCK)).astype(np.float32)
    x[:, 5] *= 100
    w = random.standard_normal((8, 4 * BLOCK)).astype(np.float32)
    w[:, 5] /= 100

    def quantized(a: NDArray[np.float32]) -> NDArray[np.float32]:
        q, scale = int8_rows(a.copy())
        return q * scale[:, None]

    exact = x @ w.T
    plain = np.abs(quantized(x) @ w.T - exact).mean()
    rotated_w = rotated_weight(weight(w)).read()
    rotated = np.abs(quantized(rotate_input(x)) @ rotated_w.T - exact).mean()
    assert rotated < plain / 2


def test_layers_with_the_same_input_share_one_rotation() -> None:
    graph = Graph("decode")
    x = graph.input("x", (1, 1, 2 * BLOCK))
    constants = [weight(np.ones((n, 2 * BLOCK), np.float32)) for n in (3, 4)]
    for i, constant in enumerate(constants):
        graph.output(f"y{i}", ops.fully_connected(x, graph.constant(constant)))
    model = Model((graph,))
    rotate(model, {constants[0], constants[1]})
    verify(model)
    kinds = [op.kind for op in graph.ops]
    assert kinds == ["reshape", "fully_connected", "reshape", "fully_connected", "fully_connected"]


def test_widths_that_are_no_whole_blocks_are_left_alone() -> None:
    graph = Graph("decode")
    x = graph.input("x", (1, 1, BLOCK + 1))
    constant = weight(np.ones((3, BLOCK + 1), np.float32))
    graph.output("y", ops.fully_connected(x, graph.constant(constant)))
    rotate(Model((graph,)), {constant})
    assert [op.kind for op in graph.ops] == ["fully_connected"]
