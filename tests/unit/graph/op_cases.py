"""Small graphs of every operation, and calls that every operation refuses."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from litertlm.graph import Constant, Dim, DType, Graph, Shape, Size, Tensor, ops, table

S, C = Dim("S"), Dim("C")
FLOAT, INT, BOOL = DType.FLOAT32, DType.INT32, DType.BOOL


@dataclass(frozen=True)
class Input:
    """An input of a case: random values of this type, floats and integers in [low, high)."""

    shape: Shape
    dtype: DType = FLOAT
    low: float = -2.0
    high: float = 2.0

    def values(self, seed: int, symbols: dict[str, int]) -> NDArray[np.generic]:
        random = np.random.default_rng(seed)
        shape = [size if isinstance(size, int) else size.at(symbols) for size in self.shape]
        if self.dtype is FLOAT:
            return random.uniform(self.low, self.high, shape).astype(np.float32)
        if self.dtype is INT:
            return random.integers(int(self.low), int(self.high), shape, np.int32)
        return random.integers(0, 2, shape).astype(np.bool_)


Build = Callable[..., "Tensor | Sequence[Tensor]"]


@dataclass(frozen=True)
class Case:
    """A graph of a few operations."""

    name: str
    build: Build
    inputs: tuple[Input, ...]
    exact: bool = False  # no rounding: the results are equal

    def graph(self) -> Graph:
        graph = Graph("main")
        given = [graph.input(f"x{i}", x.shape, x.dtype) for i, x in enumerate(self.inputs)]
        results = self.build(*given)
        for i, tensor in enumerate([results] if isinstance(results, Tensor) else results):
            graph.output(f"y{i}", tensor)
        return graph


def weight(like: Tensor, *shape: int, name: str = "weight") -> Tensor:
    """A random weight, read by rows as one of a checkpoint is."""
    random = np.random.default_rng(zlib.crc32(f"{name}{shape}".encode()))
    values = random.uniform(-1, 1, shape).astype(np.float32)
    constant = Constant(
        name + "x".join(map(str, shape)), shape, FLOAT, lambda a, b: values[a:b].copy()
    )
    return like.graph.constant(constant)


def small(like: Tensor, *values: int) -> Tensor:
    """A vector of integers."""
    return like.graph.constant(table("small", np.asarray(values, np.int32)))


def _elementwise() -> list[Case]:
    pair = Input((2, S, 4)), Input((2, S, 4))
    cases = []
    for name in ("add", "sub", "mul", "minimum", "maximum", "div", "pow"):
        operation = getattr(ops, name)
        positive = Input((2, S, 4), low=0.5), Input((2, S, 4), low=0.5)
        operands = positive if name in ("div", "pow") else pair
        row = Input((4,), low=0.5)
        column = Input((2, S, 1), low=0.5)
        cases += [
            Case(name, operation, operands),
            Case(f"{name}, a row on the left", operation, (row, operands[0])),
            Case(f"{name}, a column on the right", operation, (operands[0], column)),
            Case(f"{name}, a number on the right", lambda x, f=operation: f(x, 1.5), operands[:1]),
            Case(f"{name}, a number on the left", lambda x, f=operation: f(1.5, x), operands[:1]),
        ]
        if name not in ("div", "pow"):
            integers = Input((3, 4), INT, -9, 9), Input((3, 1), INT, -9, 9)
            cases.append(Case(f"{name} of integers", operation, integers, exact=True))
    for name in ("sub", "div", "minimum", "maximum"):
        five = Input((1, 2, 3, 2, 4), low=0.5), Input((1, 1, 3, 1, 4), low=0.5)
        cases.append(Case(f"{name} of 5 axes", getattr(ops, name), five))
    for name in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal"):
        operation = getattr(ops, name)
        levels = Input((2, S, 4), INT, 0, 3), Input((1, S, 4), INT, 0, 3)
        cases += [
            Case(name, operation, levels, exact=True),
            Case(f"{name} of floats", operation, pair, exact=True),
            Case(f"{name}, a number", lambda x, f=operation: f(1, x), levels[:1], exact=True),
        ]
    truths = Input((2, S, 4), BOOL), Input((2, S, 4), BOOL)
    for name in ("logical_and", "logical_or"):
        cases.append(Case(name, getattr(ops, name), truths, exact=True))
    cases.append(Case("logical_not", ops.logical_not, truths[:1], exact=True))
    for name in ("abs", "neg", "square", "exp", "cos", "sin", "floor", "tanh", "logistic", "relu"):
        cases.append(Case(name, getattr(ops, name), pair[:1]))
    for name in ("silu", "softplus"):
        cases.append(Case(name, getattr(ops, name), (Input((2, S, 4), low=-30, high=30),)))
    for name in ("sqrt", "rsqrt", "log"):
        cases.append(Case(name, getattr(ops, name), (Input((2, S, 4), low=0.1),)))
    cases += [
        Case("neg of integers", ops.neg, (Input((3,), INT, -5, 5),), exact=True),
        Case("gelu, tanh", lambda x: ops.gelu(x, approximate=True), pair[:1]),
        Case("gelu, erf", lambda x: ops.gelu(x, approximate=False), pair[:1]),
        Case("select", ops.select, (truths[0], *pair)),
        Case("select, a number", lambda c, x: ops.select(c, x, -7.0), (truths[0], pair[0])),
        Case("select, a row of conditions", ops.select, (Input((4,), BOOL), *pair)),
        Case("cast, int to float", ops.cast_float, (Input((3, S), INT, -9, 9),), exact=True),
        Case("cast, bool to float", ops.cast_float, (Input((3, S), BOOL),), exact=True),
        Case("cast, float to int", ops.cast_int, (Input((3, S)),), exact=True),
        Case("cast, bool to int", ops.cast_int, (Input((3, S), BOOL),), exact=True),
        Case("cast, int to bool", lambda x: ops.cast(x, BOOL), (Input((3, S), INT),), exact=True),
    ]
    return cases


def _shape() -> list[Case]:
    x = Input((2, S, 6))
    moved: list[tuple[str, Build, tuple[Input, ...]]] = [
        ("reshape", lambda x: ops.reshape(x, (2 * S, 3, 2)), (x,)),
        ("reshape of S+1", lambda x: ops.reshape(x, (2, 2 * S + 2)), (Input((2, S + 1, 2)),)),
        ("transpose", lambda x: ops.transpose(x, (2, 0, 1)), (x,)),
        ("transpose of 5 axes", lambda x: ops.transpose(x, (4, 0, 2, 1, 3)),
         (Input((2, 3, 1, 4, 2)),)),
        ("transpose of booleans", lambda x: ops.transpose(x, (1, 0)), (Input((2, 3), BOOL),)),
        ("concat", lambda a, b: ops.concat([a, b, a], 1), (x, Input((2, 3, 6)))),
        ("concat of integers", lambda a: ops.concat([a, a], 0), (Input((4,), INT),)),
        ("slice", lambda x: ops.slice_axis(x, -1, 1, 4), (x,)),
        ("slice of a dynamic axis", lambda x: ops.slice_axis(x, 1, 1, 2), (Input((2, S + 2, 6)),)),
        ("slice of 5 axes", lambda x: ops.slice_axis(x, 4, 1, 2), (Input((1, 2, 1, 2, 3)),)),
        ("last of a static axis", lambda x: ops.last(x, 2, 4), (x,)),
        ("last of a dynamic axis", lambda x: ops.last(x, 1, 1), (x,)),
        ("state and tokens, the last 3",
         lambda state, x: ops.last(ops.concat([state, x], 1), 1, 3), (Input((2, 3, 6)), x)),
        ("strided_slice, all but the last", lambda x: ops.strided_slice(x, 1, None, -2),
         (Input((2, S + 2, 3)),)),
        ("strided_slice, from the second", lambda x: ops.strided_slice(x, 1, 1),
         (Input((2, S + 1, 3)),)),
        ("strided_slice, in the middle", lambda x: ops.strided_slice(x, 2, 1, -1), (x,)),
        ("strided_slice, every second", lambda x: ops.strided_slice(x, 2, 1, None, 2), (x,)),
        ("strided_slice, half of 2S", lambda x: ops.strided_slice(x, 0, None, None, 2),
         (Input((2 * S, 3)),)),
        ("strided_slice of booleans", lambda x: ops.strided_slice(x, 0, -2),
         (Input((4,), BOOL),)),
        ("strided_slice of 5 axes", lambda x: ops.strided_slice(x, 4, -2),
         (Input((1, 2, 1, 2, 3)),)),
        ("pad", lambda x: ops.pad(x, [(0, 0), (3, 1), (0, 2)]), (x,)),
        ("pad with a value", lambda x: ops.pad(x, [(1, 0), (0, 0), (0, 1)], -2.5), (x,)),
        ("pad of integers", lambda x: ops.pad(x, [(1, 2)]), (Input((3,), INT),)),
        ("split", lambda x: ops.split(x, 2, 3), (x,)),
        ("split of integers", lambda x: ops.split(x, 0, 2), (Input((4, 2), INT),)),
        ("split by sizes", lambda x: ops.split(x, -1, [1, 2, 3]), (x,)),
        ("pack", lambda a, b: ops.pack([a, b], 1), (x, x)),
        ("pack, last", lambda a, b: ops.pack([a, b], -1), (x, x)),
        ("unpack", lambda x: ops.unpack(x, 0), (x,)),
        ("unpack of booleans", lambda x: ops.unpack(x, 1), (Input((3, 2), BOOL),)),
        ("tile", lambda x: ops.tile(x, (1, 2, 3)), (x,)),
        ("broadcast_to", lambda x: ops.broadcast_to(x, (3, 2, 4)), (Input((2, 1)),)),
        ("broadcast_to of integers", lambda x: ops.broadcast_to(x, (2, 4)), (Input((1, 4), INT),)),
    ]  # fmt: skip
    return [Case(name, build, inputs, exact=True) for name, build, inputs in moved]


def _products() -> list[Case]:
    x = Input((1, S, 6))
    return [
        Case("fully_connected", lambda x: ops.fully_connected(x, weight(x, 5, 6)), (x,)),
        Case(
            "fully_connected with a bias",
            lambda x: ops.fully_connected(x, weight(x, 5, 6), weight(x, 5)),
            (x,),
        ),
        Case(
            "embedding_lookup",
            lambda ids: ops.embedding_lookup(ids, weight(ids, 9, 6)),
            (Input((S,), INT, 0, 9),),
            exact=True,
        ),
        Case("batch_matmul", ops.batch_matmul, (Input((2, S, 6)), Input((2, 5, 6)))),
        Case("batch_matmul of two symbols", ops.batch_matmul, (Input((1, 2, S, 3)),
                                                              Input((1, 2, C, 3)))),
        Case(
            "batch_matmul as it is",
            lambda a, b: ops.batch_matmul(a, b, transpose_b=False),
            (Input((2, S, 6)), Input((2, 6, 5))),
        ),
        Case("chosen experts", _chosen_experts, (Input((1, 6)), Input((2,), INT, 0, 4))),
        Case("each expert of a weight", _each_expert, (x,)),
    ]  # fmt: skip


def _each_expert(x: Tensor) -> list[Tensor]:
    """x [1, S, 6] through each expert of a weight [3, 5, 6]."""
    experts = weight(x, 3, 5, 6)
    return [ops.batch_matmul(x, ops.slice_axis(experts, 0, e, 1)) for e in range(3)]


def _chosen_experts(x: Tensor, chosen: Tensor) -> Tensor:
    """x [1, 6] through two chosen experts of a weight [4, 5, 6]: [2, 1, 5]."""
    experts = ops.gather(weight(x, 4, 5, 6), chosen)
    return ops.batch_matmul(ops.broadcast_to(ops.reshape(x, (1, 1, 6)), (2, 1, 6)), experts)


def _axes() -> list[Case]:
    x = Input((2, S, 6), low=0.5)
    cases = [
        Case("mean of the last axis", ops.mean_last, (x,)),
        Case("softmax", ops.softmax, (x,)),
        Case("cumsum", lambda x: ops.cumsum(x, 1), (x,)),
        Case("cumsum of integers", ops.cumsum_last, (Input((2, 5), INT, 0, 9),), exact=True),
        Case("argmax", ops.argmax, (x,), exact=True),
        Case("argmax of a dynamic axis", lambda x: ops.argmax(x, 1), (x,), exact=True),
        Case("top_k", lambda x: ops.top_k(x, 3), (x,), exact=True),
        Case("top_k of a dynamic axis", lambda x: ops.top_k(x, 2), (Input((3, S + 1)),),
             exact=True),
        Case("layer_norm",
             lambda x: ops.layer_norm(x, weight(x, 6), ops.neg(weight(x, 1, 6)), 1e-5), (x,)),
        Case("layer_norm without weights", lambda x: ops.layer_norm(x, None, None, 1e-5), (x,)),
    ]  # fmt: skip
    for name in ("mean", "reduce_sum", "reduce_max", "reduce_min", "reduce_prod"):
        operation = getattr(ops, name)
        cases += [
            Case(f"{name} over S", lambda x, f=operation: f(x, [1]), (x,)),
            Case(f"{name} over two axes", lambda x, f=operation: f(x, [0, -1]), (x,)),
            Case(f"{name}, dropped", lambda x, f=operation: f(x, [2], keepdims=False), (x,)),
        ]
    return cases


def _indices() -> list[Case]:
    x = Input((5, S, 6))
    ids = Input((2, 3), INT, 0, 5)
    return [
        Case("gather", ops.gather, (x, ids), exact=True),
        Case("gather of a weight", lambda ids: ops.gather(weight(ids, 9, 4), ids),
             (Input((2, S), INT, 0, 9),), exact=True),
        Case("gather of the last axis", lambda x, ids: ops.gather(x, ids, -1), (x, ids),
             exact=True),
        Case("gather of a dynamic axis", lambda x, ids: ops.gather(x, ids, 1),
             (Input((2, C + 2, 3)), Input((S,), INT, 0, 3)), exact=True),
        Case("gather in batches", lambda x, ids: ops.gather(x, ids, 1, batch_dims=1),
             (Input((2, 5, 3)), Input((2, 4), INT, 0, 5)), exact=True),
        Case("gather of booleans", ops.gather, (Input((5, 2), BOOL), ids), exact=True),
        Case("gather_nd", ops.gather_nd, (Input((4, 4, 3)), Input((S, 2), INT, 0, 4)),
             exact=True),
        Case("dynamic_update_slice",
             lambda x, y, p: ops.dynamic_update_slice(x, y, ops.concat([small(x, 0, 0), p], 0)),
             (Input((1, 2, C + 4)), Input((1, 2, S)), Input((1,), INT, 0, 2)), exact=True),
        Case("dynamic_update_slice, too late",
             lambda x, y: ops.dynamic_update_slice(x, y, small(x, 0, 9, 0)),
             (Input((1, 8, 2)), Input((1, 3, 2))), exact=True),
    ]  # fmt: skip


def _windows() -> list[Case]:
    image, tokens = Input((1, 9, 8, 3)), Input((1, S, 4))
    cases = [
        Case("conv_1d", lambda x: ops.conv_1d(x, weight(x, 5, 1, 3, 4), weight(x, 5)),
             (Input((1, S + 2, 4)),)),
        Case("conv_1d, causal", lambda x: ops.conv_1d(x, weight(x, 5, 1, 3, 4), causal=True),
             (tokens,)),
        Case("conv_1d, stride 2", lambda x: ops.conv_1d(x, weight(x, 5, 1, 3, 4), stride=2),
             (Input((1, 9, 4)),)),
        Case("depthwise_conv_1d, causal",
             lambda x: ops.depthwise_conv_1d(x, weight(x, 1, 1, 3, 4), weight(x, 4), causal=True),
             (tokens,)),
        Case("depthwise_conv_1d of state and tokens",
             lambda state, x: ops.depthwise_conv_1d(
                 ops.concat([state, x], 1), weight(x, 1, 1, 3, 4)),
             (Input((1, 2, 4)), tokens)),
        Case("depthwise_conv_2d, two filters a channel",
             lambda x: ops.depthwise_conv_2d(x, weight(x, 1, 3, 2, 6)), (image,)),
        Case("resize_bilinear, larger", lambda x: ops.resize_bilinear(x, (20, 11)), (image,)),
        Case("resize_bilinear, smaller", lambda x: ops.resize_bilinear(x, (4, 3)), (image,)),
        Case("resize_nearest, larger", lambda x: ops.resize_nearest(x, (20, 11)), (image,)),
        Case("resize_nearest, smaller", lambda x: ops.resize_nearest(x, (4, 3)), (image,)),
    ]  # fmt: skip
    for padding in ("SAME", "VALID"):
        for stride, dilation in (((1, 1), (1, 1)), ((2, 3), (1, 1)), ((1, 1), (2, 1))):
            how = {"stride": stride, "padding": padding, "dilation": dilation}
            cases += [
                Case(
                    f"conv_2d {padding} {stride} {dilation}",
                    lambda x, how=how: ops.conv_2d(x, weight(x, 5, 3, 2, 3), weight(x, 5), **how),
                    (image,),
                ),
                Case(
                    f"depthwise_conv_2d {padding} {stride} {dilation}",
                    lambda x, how=how: ops.depthwise_conv_2d(
                        x, weight(x, 1, 3, 2, 3), weight(x, 3), **how
                    ),
                    (image,),
                ),
            ]
        for name in ("average_pool_2d", "max_pool_2d"):
            cases.append(
                Case(
                    f"{name} {padding}",
                    lambda x, n=name, p=padding: getattr(ops, n)(x, (3, 2), (2, 2), padding=p),
                    (image,),
                )
            )
    return cases


CASES = [
    *_elementwise(),
    *_shape(),
    *_products(),
    *_axes(),
    *_indices(),
    *_windows(),
]

Call = Callable[[Graph], object]


def _x(g: Graph, *shape: Size, dtype: DType = FLOAT) -> Tensor:
    return g.input(f"x{len(g.inputs)}", shape, dtype)


def _refusals() -> list[tuple[str, Call]]:
    """Calls that break the rule of each operation, by its kind."""
    calls: list[tuple[str, Call]] = []
    for kind in ("add", "sub", "mul", "div", "minimum", "maximum", "pow", "equal", "not_equal",
                 "greater", "greater_equal", "less", "less_equal"):  # fmt: skip
        f = getattr(ops, kind)
        calls += [
            (kind, lambda g, f=f: f(_x(g, 2, S), _x(g, 2, 3))),
            (kind, lambda g, f=f: f(_x(g, 2), _x(g, 2, dtype=INT))),
        ]
        if "equal" not in kind or "_" in kind:
            truth = {"dtype": BOOL}
            if kind != "not_equal":
                calls.append((kind, lambda g, f=f, t=truth: f(_x(g, 2, **t), _x(g, 2, **t))))
    for kind in ("abs", "square", "sqrt", "rsqrt", "exp", "log", "cos", "sin", "floor", "tanh",
                 "logistic", "relu", "softmax", "neg"):  # fmt: skip
        f = getattr(ops, kind)
        dtype = BOOL if kind == "neg" else INT
        calls.append((kind, lambda g, f=f, d=dtype: f(_x(g, 2, dtype=d))))
    for kind in ("mean", "reduce_sum", "reduce_max", "reduce_min", "reduce_prod"):
        f = getattr(ops, kind)
        name = "sum" if kind == "reduce_sum" else kind
        calls += [
            (name, lambda g, f=f: f(_x(g, 2, 3, dtype=INT), [0])),
            (name, lambda g, f=f: f(_x(g, 2, 3), [1, -1])),
        ]
    truth, number = {"dtype": BOOL}, {"dtype": INT}
    calls += [
        ("div", lambda g: ops.div(_x(g, 2, dtype=INT), 2)),
        ("pow", lambda g: ops.pow(_x(g, 2, dtype=INT), 2)),
        ("logical_and", lambda g: ops.logical_and(_x(g, 2), _x(g, 2))),
        ("logical_or", lambda g: ops.logical_or(_x(g, 2, **truth), _x(g, 3, **truth))),
        ("logical_not", lambda g: ops.logical_not(_x(g, 2))),
        ("gelu", lambda g: ops.gelu(_x(g, 2, dtype=INT), approximate=True)),
        ("select", lambda g: ops.select(_x(g, 2), _x(g, 2), _x(g, 2))),
        ("select", lambda g: ops.select(_x(g, 2, **truth), _x(g, 2), _x(g, 2, **number))),
        ("cast", lambda g: ops.cast_float(_x(g, 2))),
        ("reshape", lambda g: ops.reshape(_x(g, 2, S), (S, 3))),
        ("reshape", lambda g: ops.reshape(_x(g, 2, S + 1), (2, S))),
        ("reshape", lambda g: ops.reshape(_x(g, S, C), (C, S))),
        ("transpose", lambda g: ops.transpose(_x(g, 2, 3), (0, 0))),
        ("concat", lambda g: ops.concat([_x(g, 2, 3), _x(g, 2, 4)], 0)),
        ("concat", lambda g: ops.concat([_x(g, 2, S), _x(g, 2, C)], 1)),
        ("concat", lambda g: ops.concat([_x(g, 2), _x(g, 2, **number)], 0)),
        ("strided_slice", lambda g: ops.slice_axis(_x(g, 4), 0, 2, 3)),
        ("strided_slice", lambda g: ops.slice_axis(_x(g, S + 1), 0, 1, 2)),
        ("strided_slice", lambda g: ops.last(_x(g, 4), 0, 5)),
        ("strided_slice", lambda g: ops.last(_x(g, S + 2), 0, 4)),
        ("strided_slice", lambda g: ops.strided_slice(_x(g, S + 1), 0, 1, 3)),
        ("strided_slice", lambda g: ops.strided_slice(_x(g, S), 0, 1)),
        ("strided_slice", lambda g: ops.strided_slice(_x(g, S), 0, None, None, 2)),
        ("pad", lambda g: ops.pad(_x(g, 2, 3), [(1, 1)])),
        ("pad", lambda g: ops.pad(_x(g, 2), [(-1, 0)])),
        ("padv2", lambda g: ops.pad(_x(g, 2, 3), [(1, 1)], 5.0)),
        ("split", lambda g: ops.split(_x(g, 5), 0, 2)),
        ("split", lambda g: ops.split(_x(g, S), 0, 1)),
        ("split_v", lambda g: ops.split(_x(g, 5), 0, [2, 2])),
        ("pack", lambda g: ops.pack([_x(g, 2), _x(g, 3)])),
        ("unpack", lambda g: ops.unpack(_x(g, S, 2), 0)),
        ("tile", lambda g: ops.tile(_x(g, 2, 3), (2,))),
        ("broadcast_to", lambda g: ops.broadcast_to(_x(g, 2), (3, 4))),
        ("broadcast_to", lambda g: ops.broadcast_to(_x(g, 3, 4), (4,))),
        ("fully_connected", lambda g: ops.fully_connected(_x(g, 2, 3), _x(g, 3, 4))),
        ("fully_connected", lambda g: ops.fully_connected(_x(g, 2, 3), _x(g, 4, 3), _x(g, 3))),
        ("embedding_lookup", lambda g: ops.embedding_lookup(_x(g, S), _x(g, 4, 3))),
        ("embedding_lookup", lambda g: ops.embedding_lookup(_x(g, 1, S, **number), _x(g, 4, 3))),
        ("batch_matmul", lambda g: ops.batch_matmul(_x(g, 2, S, 3), _x(g, 3, C, 3))),
        ("batch_matmul", lambda g: ops.batch_matmul(_x(g, S, 3), _x(g, 3, 4))),
        ("cumsum", lambda g: ops.cumsum(_x(g, 2, **truth), 0)),
        ("argmax", lambda g: ops.argmax(_x(g, 2, **truth), 0)),
        ("top_k", lambda g: ops.top_k(_x(g, 2, 3), 4)),
        ("top_k", lambda g: ops.top_k(_x(g, S), 2)),
        ("gather", lambda g: ops.gather(_x(g, 2), _x(g, 2))),
        ("gather", lambda g: ops.gather(_x(g, 3, 4), _x(g, 2, 4, **number), 1, batch_dims=1)),
        ("gather_nd", lambda g: ops.gather_nd(_x(g, 2), _x(g, 3, 2, **number))),
        ("gather_nd", lambda g: ops.gather_nd(_x(g, 2), _x(g, 3, 1))),
        ("conv_2d", lambda g: ops.conv_2d(_x(g, 1, 4, 4, 3), _x(g, 5, 2, 2, 4))),
        ("conv_2d", lambda g: ops.conv_2d(_x(g, 1, 4, 4, 3), _x(g, 5, 5, 2, 3))),
        ("conv_2d", lambda g: ops.conv_2d(_x(g, 1, 4, S, 3), _x(g, 5, 2, 2, 3))),
        ("conv_2d", lambda g: ops.conv_2d(_x(g, 1, 4, 4, 3), _x(g, 5, 2, 2, 3), _x(g, 4))),
        ("conv_2d", lambda g: ops.conv_2d(_x(g, 1, 4, 4, 3), _x(g, 5, 2, 2, 3), padding="FULL")),
        ("depthwise_conv_2d", lambda g: ops.depthwise_conv_2d(
            _x(g, 1, 4, 4, 3), _x(g, 1, 2, 2, 4))),
        ("average_pool_2d", lambda g: ops.average_pool_2d(_x(g, 4, 4, 3), (2, 2), (1, 1))),
        ("max_pool_2d", lambda g: ops.max_pool_2d(_x(g, 1, 4, 4, 3), (5, 2), (1, 1))),
        ("resize_bilinear", lambda g: ops.resize_bilinear(_x(g, 1, 4, 4, 3), (0, 2))),
        ("resize_nearest", lambda g: ops.resize_nearest(_x(g, 4, 4, 3), (2, 2))),
    ]  # fmt: skip

    def update(x: Shape, y: Shape, starts: int, **dtype: DType) -> tuple[str, Call]:
        return "dynamic_update_slice", lambda g: ops.dynamic_update_slice(
            _x(g, *x), _x(g, *y, **dtype), _x(g, starts, dtype=INT)
        )

    calls += [
        update((1, 2, C), (1, 2, S), 2),
        update((1, 2, C), (2, S), 3),
        update((1, 2, C), (1, 3, C), 3),
        update((1, 4, C), (1, 3, S), 3),
        update((1, 4), (1, 5), 2),
        update((1, 4), (1, S + 4), 2),
        update((1, C), (1, C + 1), 2),
        update((1, C), (1, 2 * C), 2),
        update((1, C), (1, C), 2, dtype=INT),
    ]
    q, gates, state = (1, 2, S, 3), (1, 2, S), (1, 2, 3, 5)
    calls += [
        ("gated_delta_update", lambda g, s=s: ops.gated_delta_update(
            _x(g, *q), _x(g, *q), _x(g, 1, 2, S, 5), _x(g, *gates), _x(g, *s[0]), _x(g, *s[1])))
        for s in (((1, 2, C), state), (gates, (1, 2, 5, 3)))
    ]  # fmt: skip
    calls += [
        ("moe", lambda g, s=s: ops.moe(
            _x(g, 1, S, 6), _x(g, 1, S, 2), _x(g, 1, S, 2, dtype=s[0]), _x(g, 4, 3, 1, 6),
            _x(g, 4, 3, 1, 6), _x(g, *s[1]), _x(g, 1, 1, 1, 3), approximate=True))
        for s in ((FLOAT, (6, 3, 1, 4)), (INT, (4, 3, 1, 6)))
    ]  # fmt: skip
    return calls


REFUSALS = _refusals()
