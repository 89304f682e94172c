"""Operations on each element: arithmetic, activations, comparisons, selection and casts.

They broadcast as numpy does, and a number on either side becomes a scalar of the graph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from litertlm.graph.ops.operation import (
    BOOL,
    FLOAT32,
    INT32,
    NUMPY_TYPES,
    Array,
    Attrs,
    Inputs,
    Operand,
    Operation,
    Results,
    broadcast,
    emit,
    operands,
    want,
)
from litertlm.graph.types import DType, Tensor


def _float(inputs: Inputs, attrs: Attrs) -> Results:
    (x,) = inputs
    want(x.dtype is FLOAT32, "not float32")
    return ((x.shape, FLOAT32),)


def _number(inputs: Inputs, attrs: Attrs) -> Results:
    (x,) = inputs
    want(x.dtype is not BOOL, "not a number")
    return ((x.shape, x.dtype),)


def _arithmetic(inputs: Inputs, attrs: Attrs) -> Results:
    a, b = inputs
    want(a.dtype is b.dtype, "types differ")
    want(a.dtype is not BOOL, "not numbers")
    return ((broadcast(inputs), a.dtype),)


def _float_arithmetic(inputs: Inputs, attrs: Attrs) -> Results:
    want(inputs[0].dtype is FLOAT32, "not float32")
    return _arithmetic(inputs, attrs)


def _comparison(inputs: Inputs, attrs: Attrs) -> Results:
    return ((_arithmetic(inputs, attrs)[0][0], BOOL),)


def _equality(inputs: Inputs, attrs: Attrs) -> Results:
    want(inputs[0].dtype is inputs[1].dtype, "types differ")
    return ((broadcast(inputs), BOOL),)


def _logical(inputs: Inputs, attrs: Attrs) -> Results:
    want(all(t.dtype is BOOL for t in inputs), "not booleans")
    return ((broadcast(inputs), BOOL),)


def add(a: Operand, b: Operand) -> Tensor:
    """a + b."""
    return emit(ADD, *operands(a, b))


def sub(a: Operand, b: Operand) -> Tensor:
    """a - b."""
    return emit(SUB, *operands(a, b))


def mul(a: Operand, b: Operand) -> Tensor:
    """a * b."""
    return emit(MUL, *operands(a, b))


def div(a: Operand, b: Operand) -> Tensor:
    """a / b of float32."""
    return emit(DIV, *operands(a, b))


def minimum(a: Operand, b: Operand) -> Tensor:
    """The smaller of each pair."""
    return emit(MINIMUM, *operands(a, b))


def maximum(a: Operand, b: Operand) -> Tensor:
    """The larger of each pair."""
    return emit(MAXIMUM, *operands(a, b))


def pow(a: Operand, b: Operand) -> Tensor:
    """a to the power of b, float32."""
    return emit(POW, *operands(a, b))


ADD = Operation("add", _arithmetic, lambda x, a: x[0] + x[1])
SUB = Operation("sub", _arithmetic, lambda x, a: x[0] - x[1])
MUL = Operation("mul", _arithmetic, lambda x, a: x[0] * x[1])
DIV = Operation("div", _float_arithmetic, lambda x, a: x[0] / x[1])
MINIMUM = Operation("minimum", _arithmetic, lambda x, a: np.minimum(*x))
MAXIMUM = Operation("maximum", _arithmetic, lambda x, a: np.maximum(*x))
POW = Operation("pow", _float_arithmetic, lambda x, a: np.power(*x))


def equal(a: Operand, b: Operand) -> Tensor:
    """a == b, as BOOL."""
    return emit(EQUAL, *operands(a, b))


def not_equal(a: Operand, b: Operand) -> Tensor:
    """a != b, as BOOL."""
    return emit(NOT_EQUAL, *operands(a, b))


def greater(a: Operand, b: Operand) -> Tensor:
    """a > b, as BOOL."""
    return emit(GREATER, *operands(a, b))


def greater_equal(a: Operand, b: Operand) -> Tensor:
    """a >= b, as BOOL."""
    return emit(GREATER_EQUAL, *operands(a, b))


def less(a: Operand, b: Operand) -> Tensor:
    """a < b, as BOOL."""
    return emit(LESS, *operands(a, b))


def less_equal(a: Operand, b: Operand) -> Tensor:
    """a <= b, as BOOL."""
    return emit(LESS_EQUAL, *operands(a, b))


EQUAL = Operation("equal", _equality, lambda x, a: x[0] == x[1])
NOT_EQUAL = Operation("not_equal", _equality, lambda x, a: x[0] != x[1])
GREATER = Operation("greater", _comparison, lambda x, a: x[0] > x[1])
GREATER_EQUAL = Operation("greater_equal", _comparison, lambda x, a: x[0] >= x[1])
LESS = Operation("less", _comparison, lambda x, a: x[0] < x[1])
LESS_EQUAL = Operation("less_equal", _comparison, lambda x, a: x[0] <= x[1])


def logical_and(a: Tensor, b: Tensor) -> Tensor:
    """a and b, BOOL."""
    return emit(LOGICAL_AND, a, b)


def logical_or(a: Tensor, b: Tensor) -> Tensor:
    """a or b, BOOL."""
    return emit(LOGICAL_OR, a, b)


def logical_not(x: Tensor) -> Tensor:
    """not x, BOOL."""
    return emit(LOGICAL_NOT, x)


LOGICAL_AND = Operation("logical_and", _logical, lambda x, a: np.logical_and(*x))
LOGICAL_OR = Operation("logical_or", _logical, lambda x, a: np.logical_or(*x))
LOGICAL_NOT = Operation("logical_not", _logical, lambda x, a: np.logical_not(x[0]))


def select(condition: Tensor, a: Operand, b: Operand) -> Tensor:
    """a where condition else b, broadcast; at most one of a and b is a number."""
    return emit(SELECT, condition, *operands(a, b))


def _select(inputs: Inputs, attrs: Attrs) -> Results:
    condition, a, b = inputs
    want(condition.dtype is BOOL and a.dtype is b.dtype, "types do not fit")
    return ((broadcast(inputs), a.dtype),)


SELECT = Operation("select", _select, lambda x, a: np.where(*x))


def cast(x: Tensor, dtype: DType) -> Tensor:
    """Values as another type: floats are truncated to INT32, and all but 0 is true."""
    return emit(CAST, x, **({} if dtype is FLOAT32 else {"to": dtype}))


def cast_float(x: Tensor) -> Tensor:
    """INT32 or BOOL to FLOAT32."""
    return cast(x, FLOAT32)


def cast_int(x: Tensor) -> Tensor:
    """FLOAT32 or BOOL to INT32, rounded towards zero."""
    return cast(x, INT32)


def _cast(inputs: Inputs, attrs: Attrs) -> Results:
    (x,) = inputs
    to: DType = attrs.get("to", FLOAT32)
    want(x.dtype is not to, f"it is {to.value} already")
    return ((x.shape, to),)


CAST = Operation("cast", _cast, lambda x, a: x[0].astype(NUMPY_TYPES[a.get("to", FLOAT32)]))


def abs(x: Tensor) -> Tensor:
    """Magnitude."""
    return emit(ABS, x)


def neg(x: Tensor) -> Tensor:
    """-x."""
    return emit(NEG, x)


def square(x: Tensor) -> Tensor:
    """x * x."""
    return emit(SQUARE, x)


def sqrt(x: Tensor) -> Tensor:
    """Square root."""
    return emit(SQRT, x)


def rsqrt(x: Tensor) -> Tensor:
    """1 / sqrt(x)."""
    return emit(RSQRT, x)


def exp(x: Tensor) -> Tensor:
    """e to the power of x."""
    return emit(EXP, x)


def log(x: Tensor) -> Tensor:
    """Natural logarithm."""
    return emit(LOG, x)


def cos(x: Tensor) -> Tensor:
    """Cosine."""
    return emit(COS, x)


def sin(x: Tensor) -> Tensor:
    """Sine."""
    return emit(SIN, x)


def floor(x: Tensor) -> Tensor:
    """The largest integer that is not above x, as float32."""
    return emit(FLOOR, x)


ABS = Operation("abs", _float, lambda x, a: np.abs(x[0]))
NEG = Operation("neg", _number, lambda x, a: -x[0])
SQUARE = Operation("square", _float, lambda x, a: np.square(x[0]))
SQRT = Operation("sqrt", _float, lambda x, a: np.sqrt(x[0]))
RSQRT = Operation("rsqrt", _float, lambda x, a: 1.0 / np.sqrt(x[0]))
EXP = Operation("exp", _float, lambda x, a: np.exp(x[0]))
LOG = Operation("log", _float, lambda x, a: np.log(x[0]))
COS = Operation("cos", _float, lambda x, a: np.cos(x[0]))
SIN = Operation("sin", _float, lambda x, a: np.sin(x[0]))
FLOOR = Operation("floor", _float, lambda x, a: np.floor(x[0]))


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return emit(TANH, x)


def logistic(x: Tensor) -> Tensor:
    """Sigmoid: 1 / (1 + exp(-x))."""
    return emit(LOGISTIC, x)


def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return emit(RELU, x)


def gelu(x: Tensor, *, approximate: bool) -> Tensor:
    """GELU (Hendrycks and Gimpel 2016); `approximate` is the tanh form."""
    return emit(GELU, x, approximate=approximate)


def silu(x: Tensor) -> Tensor:
    """x * sigmoid(x)."""
    return mul(x, logistic(x))


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), which cannot overflow: max(x, 0) + log(1 + exp(-|x|))."""
    return add(relu(x), log(add(exp(neg(abs(x))), 1.0)))


def _gelu(x: Sequence[Any], attrs: Attrs) -> Array:
    values: Array = x[0]
    if attrs["approximate"]:
        inner = math.sqrt(2.0 / math.pi) * (values + 0.044715 * values**3)
        return np.asarray(0.5 * values * (1.0 + np.tanh(inner)))
    erf = np.vectorize(math.erf, otypes=[np.float32])(values / math.sqrt(2.0))
    return np.asarray(0.5 * values * (1.0 + erf))


TANH = Operation("tanh", _float, lambda x, a: np.tanh(x[0]))
LOGISTIC = Operation("logistic", _float, lambda x, a: 1.0 / (1.0 + np.exp(-x[0])))
RELU = Operation("relu", _float, lambda x, a: np.maximum(x[0], 0.0))
GELU = Operation("gelu", _float, _gelu)
