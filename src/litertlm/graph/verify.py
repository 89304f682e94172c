"""The rules that every graph keeps, checked before anything is written.

A graph that families build through graph.ops keeps them by construction; they catch mistakes in
families, and hand-made or hand-broken graphs.
"""

from __future__ import annotations

from collections import Counter

from litertlm.graph.infer import infer
from litertlm.graph.types import Graph, GraphError, Model, Op

CACHE_PREFIX = "kv_cache_"


def verify(model: Model) -> None:
    """Raise GraphError for the first broken rule.

    1. Every operand is an input, a constant, or the output of an earlier operation of the graph.
    2. Every output of an operation is used, or is an output of the signature.
    3. Shapes are positive; an operation infers the shape and type that its output has.
    4. Every cache has an output of its input's shape and type, and is updated exactly once.
    5. Every input but the caches' last values is read, and no constant is left unused.
    6. A weight is read by one operation of a graph; an embedding table may also be the head.
    7. Signatures have different names.
    """
    names = Counter(graph.name for graph in model.graphs)
    for name, count in names.items():
        if count > 1:
            raise GraphError(f"signature {name} appears {count} times")
    for graph in model.graphs:
        _Check(graph).run()


class _Check:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.defined = {id(t) for t in graph.inputs.values()}
        self.used: Counter[int] = Counter()

    def run(self) -> None:
        for op in self.graph.ops:
            self._operands(op)
            self._result(op)
            self.defined.add(id(op.output))
        outputs = {id(t) for t in self.graph.outputs.values()}
        for name, tensor in self.graph.outputs.items():
            if id(tensor) not in self.defined:
                raise self._error(f"output {name} is not computed")
        for op in self.graph.ops:
            if not self.used[id(op.output)] and id(op.output) not in outputs:
                raise self._error(f"{op.kind} {op.output!r} is not used")
        for name, tensor in self.graph.inputs.items():
            if not self.used[id(tensor)] and name not in self.graph.outputs:
                if name == "mask" and "logits" not in self.graph.outputs:
                    continue  # a one-layer prefill ends at its caches and attends to nothing
                raise self._error(f"input {name} is not used")
        self._constants()
        self._caches()

    def _operands(self, op: Op) -> None:
        for tensor in op.inputs:
            self.used[id(tensor)] += 1
            if tensor.constant is not None:
                if self.graph.constants.get(id(tensor.constant)) is not tensor:
                    raise self._error(f"{op.kind}: constant {tensor!r} is of another graph")
                if (
                    tensor.shape != tensor.constant.shape
                    or tensor.dtype is not tensor.constant.dtype
                ):
                    raise self._error(f"{op.kind}: {tensor!r} differs from its constant")
            elif id(tensor) not in self.defined:
                raise self._error(f"{op.kind}: {tensor!r} is not defined before it is used")

    def _result(self, op: Op) -> None:
        if id(op.output) in self.defined:
            raise self._error(f"{op.kind}: {op.output!r} is written twice")
        shape, dtype = infer(op.kind, op.inputs, op.attrs)
        if op.output.shape != shape or op.output.dtype is not dtype:
            raise self._error(f"{op.kind} gives {dtype.value}{shape}, not {op.output!r}")

    def _constants(self) -> None:
        tied = {id(op.inputs[1]) for op in self.graph.ops if op.kind == "embedding_lookup"}
        tied &= {id(op.inputs[1]) for op in self.graph.ops if op.attrs.get("head")}
        for tensor in self.graph.constants.values():
            uses = self.used[id(tensor)]
            if not uses:
                raise self._error(f"constant {tensor!r} is not used")
            weight = tensor.constant is not None and tensor.constant.weight
            if weight and uses > (2 if id(tensor) in tied else 1):
                raise self._error(f"weight {tensor!r} is used {uses} times")

    def _caches(self) -> None:
        for name, tensor in self.graph.inputs.items():
            if not name.startswith(CACHE_PREFIX):
                continue
            result = self.graph.outputs.get(name)
            if result is None:
                raise self._error(f"{name} is not returned")
            if result.shape != tensor.shape or result.dtype is not tensor.dtype:
                raise self._error(f"{name} goes in as {tensor!r} and comes out as {result!r}")
            if self.used[id(tensor)] != 1:
                raise self._error(f"{name} is read {self.used[id(tensor)]} times")

    def _error(self, problem: str) -> GraphError:
        return GraphError(f"{self.graph.name}: {problem}")
