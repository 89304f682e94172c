"""A model's graphs as text that people read and tests compare."""

from __future__ import annotations

from collections.abc import Iterator

from litertlm.graph.ops import OPERATIONS
from litertlm.graph.types import DType, Graph, Model, Op, Tensor

_SHOWN = 8  # values of a table that are written out


def dump(model: Model) -> str:
    """One line for each input, operation and output, then one for each weight.

    Results are numbered within a graph, so the text does not depend on the names of tensors.
    """
    lines = [line for graph in model.graphs for line in _graph(graph)]
    weights = [c for c in model.constants() if c.weight]
    lines.append(f"weights ({len(weights)})")
    lines += [f"  {c.name} {c.dtype.value}[{_sizes(c.shape)}]" for c in weights]
    return "\n".join(lines) + "\n"


def _graph(graph: Graph) -> Iterator[str]:
    names = {tensor: name for name, tensor in graph.inputs.items()}
    yield f"signature {graph.name} ({len(graph.ops)} operations)"
    for name, tensor in graph.inputs.items():
        yield f"  input {name} {_type(tensor)}"
    for number, op in enumerate(graph.ops):
        results = [f"%{number}.{i}" if i else f"%{number}" for i in range(len(op.outputs))]
        names.update(zip(op.outputs, results, strict=True))
        left = ", ".join(f"{names[t]} {_type(t)}" for t in op.outputs)
        yield f"  {left} = {_call(op, names)}"
    for name, tensor in graph.outputs.items():
        yield f"  output {name} = {names[tensor]}"


def _call(op: Op, names: dict[Tensor, str]) -> str:
    operands = [names.get(t) or _constant(t) for t in op.inputs]
    repeats = OPERATIONS[op.kind].repeats
    attributes = [f"{k}={_text(v)}" for k, v in sorted(op.attrs.items()) if k not in repeats]
    return f"{op.kind}({', '.join(operands + attributes)})"


def _constant(tensor: Tensor) -> str:
    constant = tensor.constant
    assert constant is not None
    if constant.weight:
        return constant.name
    values = constant.read().ravel()
    # Six digits: powers and logarithms differ in the last bits from one machine to another.
    text = ", ".join(f"{v:.6g}" for v in values[:_SHOWN].tolist())
    more = f", ... {values.size} in all" if values.size > _SHOWN else ""
    return f"[{text}{more}]" if constant.shape else text


def _text(attribute: object) -> str:
    return attribute.value if isinstance(attribute, DType) else str(attribute)


def _type(tensor: Tensor) -> str:
    return f"{tensor.dtype.value}[{_sizes(tensor.shape)}]"


def _sizes(shape: tuple[object, ...]) -> str:
    return ",".join(map(str, shape))
