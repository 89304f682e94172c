"""Rewrite `break` and `continue`, which minijinja lacks, with flags.

    {% for x in xs %}A{% if c %}{% break %}{% endif %}B{% endfor %}

becomes, as a syntax tree,

    {% set chat_loop_1 = namespace(ended=false, skipped=false, whole=false) %}
    {% for x in xs %}{% if not chat_loop_1.ended %}
    A{% if c %}{% set chat_loop_1.ended = true %}{% endif %}
    {% if not chat_loop_1.ended %}B{% endif %}
    {% endif %}{% endfor %}

The statements after the tag are skipped, and iterations after a `break` do nothing. An `if` does
not open a scope in either engine, so the scope of variables is unchanged. `whole` is set by an
iteration that runs to its end. The names and the texts of errors are stored in bundles: changing
one changes their bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jinja2 import nodes


class UnsupportedLoopExit(Exception):
    """`break` or `continue` that cannot be rewritten, such as in a macro; the text names it."""


def without_loop_controls(tree: nodes.Template) -> nodes.Template:
    """`tree`, modified in place.

    Raises:
        UnsupportedLoopExit: a loop that cannot be rewritten.
    """
    tree.body = _Rewriter().body(tree.body, None)
    return tree


class _Rewriter:
    def __init__(self) -> None:
        self._loops = 0

    def body(self, statements: Sequence[nodes.Node], loop: str | None) -> list[nodes.Node]:
        """Rewrite statements inside of the loop whose namespace is `loop`, or outside of loops."""
        out: list[nodes.Node] = []
        for number, node in enumerate(statements):
            leaves = _leaves(node)
            if leaves and loop is None:
                raise UnsupportedLoopExit(f"a loop is left from elsewhere, line {node.lineno}")
            out += self._statement(node, loop)
            if leaves:
                rest = self.body(statements[number + 1 :], loop)
                if rest and loop is not None:
                    out.append(_unless(loop, ("ended", "skipped"), rest))
                break
        return out

    def _statement(self, node: nodes.Node, loop: str | None) -> list[nodes.Node]:
        if loop is not None and isinstance(node, nodes.Break | nodes.Continue):
            return [_set(loop, "ended" if isinstance(node, nodes.Break) else "skipped", True)]
        if isinstance(node, nodes.For):
            return self._for(node, loop)
        if isinstance(node, nodes.If):
            for branch in (node, *node.elif_):
                branch.body = self.body(branch.body, loop)
            node.else_ = self.body(node.else_, loop)
        elif isinstance(node, nodes.With | nodes.Scope):
            node.body = self.body(node.body, loop)
        elif isinstance(
            node, nodes.Macro | nodes.CallBlock | nodes.AssignBlock | nodes.FilterBlock
        ):
            node.body = self.body(node.body, None)
        return [node]

    def _for(self, node: nodes.For, outer: str | None) -> list[nodes.Node]:
        node.else_ = self.body(node.else_, outer)
        if not any(map(_leaves, node.body)):
            node.body = self.body(node.body, None)
            return [node]
        if node.recursive:
            raise UnsupportedLoopExit(f"a recursive loop is left, line {node.lineno}")
        self._loops += 1
        loop = f"chat_loop_{self._loops}"
        flags = [nodes.Keyword(name, nodes.Const(False)) for name in ("ended", "skipped", "whole")]
        made = nodes.Call(nodes.Name("namespace", "load"), [], flags, None, None)
        otherwise, node.else_ = node.else_, []
        # Jinja2 renders `else` unless an iteration ran to its end.
        iteration = [*node.body, *([_set(loop, "whole", True)] if otherwise else [])]
        iteration = [_set(loop, "skipped", False), *self.body(iteration, loop)]
        node.body = [_unless(loop, ("ended",), iteration)]
        last = [_unless(loop, ("whole",), otherwise)] if otherwise else []
        return [nodes.Assign(nodes.Name(loop, "store"), made), node, *last]


def _leaves(node: nodes.Node) -> bool:
    """Whether a statement contains `break` or `continue` of the loop that it is in."""
    return any(isinstance(found, nodes.Break | nodes.Continue) for found in _inside(node))


def _inside(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    # Those of an inner loop belong to that loop; its `else` does not.
    children = node.else_ if isinstance(node, nodes.For) else node.iter_child_nodes()
    for child in children:
        yield from _inside(child)


def _set(loop: str, flag: str, value: bool) -> nodes.Node:
    return nodes.Assign(nodes.NSRef(loop, flag), nodes.Const(value))


def _unless(loop: str, flags: Sequence[str], body: list[nodes.Node]) -> nodes.Node:
    either: nodes.Expr = _flag(loop, flags[0])
    for flag in flags[1:]:
        either = nodes.Or(either, _flag(loop, flag))
    return nodes.If(nodes.Not(either), body, [], [])


def _flag(loop: str, flag: str) -> nodes.Expr:
    return nodes.Getattr(nodes.Name(loop, "load"), flag, "load")
