"""The rules of a valid graph, checked before anything is written.

Graphs that are built through graph.ops satisfy most of them by construction. The rules catch
mistakes in families and in code that edits graphs.
"""

from __future__ import annotations

from collections import Counter

from litertlm.graph.ops import OPERATIONS, infer
from litertlm.graph.state import Role, StateTensor
from litertlm.graph.types import Graph, GraphError, Model, Op, Tensor

# Operations that take a part of a weight.
_PARTS = ("gather", "strided_slice")


def verify(model: Model) -> None:
    """Raise GraphError for the first broken rule.

    1. Every operand is an input, a constant, or the output of an earlier operation of the graph.
    2. Every output of an operation is used, or is an output of the signature.
    3. Shapes are positive; an operation infers the shape and type that its output has.
    4. The output of a state has the shape and type of its input. A cache is written once, at this
       call's positions, and only what was written is read; a cache without an output is only
       read. A recurrent state is multiplied by a number, which clears it, before anything else.
    5. Every input is read, and no constant is left unused.
    6. A weight is read by one operation of a graph, unless it is declared as reused; an embedding
       table may also be the head, and several operations may take parts of one (the experts of a
       stacked weight).
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
        self.defined = set(graph.inputs.values())
        self.used: Counter[Tensor] = Counter()
        # The operations that read each state.
        self.readers: dict[Tensor, list[Op]] = {graph.inputs[name]: [] for name in graph.states}

    def run(self) -> None:
        for tensor in self.graph.inputs.values():
            self._positive(tensor)
        for op in self.graph.ops:
            self._operands(op)
            self._results(op)
            self.defined.update(op.outputs)
        outputs = set(self.graph.outputs.values())
        for name, tensor in self.graph.outputs.items():
            if tensor not in self.defined:
                raise self._error(f"output {name} is not computed")
        for op in self.graph.ops:
            if not any(self.used[t] or t in outputs for t in op.outputs):
                raise self._error(f"{op.kind} {op.output!r} is not used")
        for name, tensor in self.graph.inputs.items():
            if not self.used[tensor] and name not in self.graph.outputs:
                if name == "mask" and "logits" not in self.graph.outputs:
                    continue  # a one-layer prefill ends at its caches and attends to nothing
                raise self._error(f"input {name} is not used")
        self._constants()
        self._states()

    def _operands(self, op: Op) -> None:
        for tensor in op.inputs:
            self.used[tensor] += 1
            if tensor in self.readers:
                self.readers[tensor].append(op)
            constant = tensor.constant
            if constant is not None:
                if self.graph.constants.get(constant) is not tensor:
                    raise self._error(f"{op.kind}: constant {tensor!r} is of another graph")
                if tensor.shape != constant.shape or tensor.dtype is not constant.dtype:
                    raise self._error(f"{op.kind}: {tensor!r} differs from its constant")
            elif tensor not in self.defined:
                raise self._error(f"{op.kind}: {tensor!r} is not defined before it is used")

    def _results(self, op: Op) -> None:
        operation = OPERATIONS.get(op.kind)
        if operation is None:
            raise self._error(f"there is no operation {op.kind}")
        results = infer(operation, op.inputs, op.attrs)
        if len(results) != len(op.outputs):
            raise self._error(f"{op.kind} has {len(results)} outputs, not {len(op.outputs)}")
        for output, (shape, dtype) in zip(op.outputs, results, strict=True):
            if output in self.defined:
                raise self._error(f"{op.kind}: {output!r} is written twice")
            if output.shape != shape or output.dtype is not dtype:
                raise self._error(f"{op.kind} infers {dtype.value}{shape}, not {output!r}")
            self._positive(output)

    def _positive(self, tensor: Tensor) -> None:
        for size in tensor.shape:
            if (size if isinstance(size, int) else size.smallest) < 1:
                raise self._error(f"{tensor!r} may be empty")

    def _constants(self) -> None:
        tied = {op.inputs[1] for op in self.graph.ops if op.kind == "embedding_lookup"}
        tied &= {op.inputs[1] for op in self.graph.ops if op.attrs.get("head")}
        for constant, tensor in self.graph.constants.items():
            uses = self.used[tensor]
            if not uses:
                raise self._error(f"constant {tensor!r} is not used")
            if constant.weight and not constant.reused and uses > (2 if tensor in tied else 1):
                if all(op.kind in _PARTS for op in self.graph.ops if tensor in op.inputs):
                    continue
                raise self._error(f"weight {tensor!r} is used {uses} times")

    def _states(self) -> None:
        for name, state in self.graph.states.items():
            tensor, result = self.graph.inputs[name], self.graph.outputs.get(name)
            if result is not None and (
                result.shape != tensor.shape or result.dtype is not tensor.dtype
            ):
                raise self._error(f"{name} goes in as {tensor!r} and comes out as {result!r}")
            if state.role is Role.RECURRENT:
                self._recurrent(state, tensor, result)
            else:
                self._cache(state, tensor, result)

    def _cache(self, state: StateTensor, tensor: Tensor, result: Tensor | None) -> None:
        readers = self.readers[tensor]
        updates = [op for op in readers if _updates(op, tensor)]
        if result is None:
            if updates:
                raise self._error(f"{state.name} is updated, but not returned")
        elif len(updates) != 1 or updates[0].output is not result:
            raise self._error(f"{state.name} is not returned as it was updated, once")
        elif len(readers) != 1:
            raise self._error(f"{state.name} is read without the tokens of this call")

    def _recurrent(self, state: StateTensor, tensor: Tensor, result: Tensor | None) -> None:
        if result is None or result is tensor:
            raise self._error(f"{state.name} is not updated and returned")
        readers = self.readers[tensor]
        if len(readers) != 1 or not _clears(readers[0], tensor):
            raise self._error(f"{state.name} is read without being cleared at position 0")

    def _error(self, problem: str) -> GraphError:
        return GraphError(f"{self.graph.name}: {problem}")


def _updates(op: Op, cache: Tensor) -> bool:
    return op.kind == "dynamic_update_slice" and op.inputs[0] is cache


def _clears(op: Op, state: Tensor) -> bool:
    """Whether `op` is the product of a state and one number that the call computes."""
    if op.kind != "mul" or op.output.shape != state.shape:
        return False
    factors = [t for t in op.inputs if t is not state]
    return (
        len(factors) == 1
        and factors[0].constant is None
        and all(size == 1 for size in factors[0].shape)
    )
