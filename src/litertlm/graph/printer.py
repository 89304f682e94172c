"""A model's graphs as text that people read and tests compare."""

from __future__ import annotations

from collections.abc import Iterator

from litertlm.graph.types import Graph, Model, Op, Tensor

_SHOWN = 8  # values of a table that are written out

# Their attributes repeat what their operands say.
_PLAIN = ("reshape", "slice", "transpose")


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
    names = {id(tensor): name for name, tensor in graph.inputs.items()}
    yield f"signature {graph.name} ({len(graph.ops)} operations)"
    for name, tensor in graph.inputs.items():
        yield f"  input {name} {_type(tensor)}"
    for number, op in enumerate(graph.ops):
        names[id(op.output)] = f"%{number}"
        yield f"  %{number} {_type(op.output)} = {_call(op, names)}"
    for name, tensor in graph.outputs.items():
        yield f"  output {name} = {names[id(tensor)]}"


def _call(op: Op, names: dict[int, str]) -> str:
    operands = [names.get(id(t)) or _constant(t) for t in op.inputs]
    attributes = [f"{k}={v}" for k, v in sorted(op.attrs.items()) if op.kind not in _PLAIN]
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


def _type(tensor: Tensor) -> str:
    return f"{tensor.dtype.value}[{_sizes(tensor.shape)}]"


def _sizes(shape: tuple[object, ...]) -> str:
    return ",".join(map(str, shape))
