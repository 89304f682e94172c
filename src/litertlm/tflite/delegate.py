"""Which operations XNNPACK computes, and the copies that it can leave out by mistake.

TFLite hands the operations that XNNPACK supports to it in partitions. XNNPACK leaves out a copy
(RESHAPE, CONCATENATION) whose source and destination have the same address, and keeps leaving it
out until shapes change. When one partition needs a larger workspace, XNNPACK moves that of all
partitions and looks at all addresses again; but the addresses of tensors outside of partitions
are those of an earlier call then. If the new workspace happens to lie where such a tensor was, a
copy that is needed is left out, and the model computes with old values, without an error
(`setup_unary_elementwise_nc` in XNNPACK's src/operators/unary-elementwise-nc.c, as of August 2026;
seen in litert-lm-api 0.18.1). Both addresses of a copy within a partition move together. So no
copy may have one end within a partition and the other outside: a multiplication by 1 goes between.
"""

from __future__ import annotations

from collections.abc import Mapping

from litertlm.graph import DType, Graph, GraphError, Model, Op, Tensor, ops

_COPIES = ("reshape", "concat")

# The operations on float32 tensors that XNNPACK supports, of those that families use.
_DELEGATED = frozenset(
    """abs add batch_matmul concat cos depthwise_conv_2d div exp floor fully_connected gelu log
    logistic maximum mean minimum mul neg pad relu reshape rsqrt sin softmax sqrt square
    strided_slice sub sum tanh transpose""".split()  # noqa: SIM905 - one word each
)
_MOST_CONCATENATED = 5


def separate_copies(model: Model) -> None:
    """Multiply by 1, in place, where a copy would have one end outside of its partition.

    Raises:
        GraphError: that does not help, because a copy joins results of two partitions (a bug of
            a family).
    """
    for graph in model.graphs:
        rounds = _rounds(graph)
        if copies := _copies_across(graph, rounds):
            _separate(graph, rounds, copies)


def _rounds(graph: Graph) -> dict[Op, int]:
    """The round in which TFLite's algorithm assigns each operation to a partition.

    A round takes all operations whose inputs are known and that are of one kind, XNNPACK's or not,
    as long as there are any. XNNPACK's rounds are the odd ones, and a partition each.
    """
    makers = {tensor: op for op in graph.ops for tensor in op.outputs}
    users: dict[Op, list[Op]] = {op: [] for op in graph.ops}
    missing: dict[Op, int] = {}
    ready: tuple[list[Op], list[Op]] = ([], [])
    delegated = {op: _is_delegated(op) for op in graph.ops}
    for op in graph.ops:
        needed = {makers[tensor] for tensor in op.inputs if tensor in makers}
        missing[op] = len(needed)
        for maker in needed:
            users[maker].append(op)
        if not needed:
            ready[delegated[op]].append(op)
    found: dict[Op, int] = {}
    number = int(delegated[graph.ops[0]])
    while ready[0] or ready[1]:
        waiting = ready[number % 2]
        while waiting:
            op = waiting.pop()
            found[op] = number
            for user in users[op]:
                missing[user] -= 1
                if not missing[user]:
                    ready[delegated[user]].append(user)
        number += 1
    return found


def _is_delegated(op: Op) -> bool:
    if op.kind not in _DELEGATED or op.output.dtype is not DType.FLOAT32:
        return False
    return op.kind != "concat" or len(op.inputs) <= _MOST_CONCATENATED


def _copies_across(graph: Graph, rounds: dict[Op, int]) -> dict[Op, tuple[set[Tensor], bool]]:
    """XNNPACK's copies with an end outside of their partition: the inputs that are, and whether
    the output is.

    Raises:
        GraphError: a product of such an input would be in an earlier partition than the copy.
    """
    home = {tensor: rounds[op] for op in graph.ops for tensor in op.outputs}
    outside = set(graph.outputs.values())
    for op in graph.ops:
        outside.update([t for t in op.inputs if home.get(t) != rounds[op]])
    found = {}
    for op in graph.ops:
        number = rounds[op]
        if op.kind not in _COPIES or number % 2 == 0:
            continue
        inputs = {t for t in op.inputs if t in outside and _is_float(t)}
        for tensor in inputs:
            # Inputs of the signature are known before the first round.
            if home.get(tensor, 0) not in (number - 1, number):
                raise GraphError(
                    f"{graph.name}: {op.kind} {op.output!r} copies {tensor!r}, which an earlier "
                    "XNNPACK partition computes (tflite/delegate.py)"
                )
        if inputs or op.output in outside:
            found[op] = (inputs, op.output in outside)
    return found


def _is_float(tensor: Tensor) -> bool:
    """Not a constant, and not the new shape of a RESHAPE."""
    return tensor.constant is None and tensor.dtype is DType.FLOAT32


def _separate(
    graph: Graph, rounds: dict[Op, int], copies: Mapping[Op, tuple[set[Tensor], bool]]
) -> None:
    before, graph.ops = graph.ops, []
    products: dict[tuple[Tensor, int], Tensor] = {}
    for op in before:
        inputs, result_outside = copies.get(op, (set(), False))
        for tensor in inputs:
            key = tensor, rounds[op]
            if key not in products:
                products[key] = ops.mul(tensor, 1.0)
            op.inputs = tuple([products[key] if t is tensor else t for t in op.inputs])
        graph.ops.append(op)
        if result_outside:
            result = op.output
            op.outputs = (Tensor(graph, "", result.shape, result.dtype),)
            ops.mul(op.output, 1.0)
            graph.ops[-1].outputs = (result,)
    graph.number_ops()
