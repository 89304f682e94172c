"""Loops that are left early, without `break` and `continue`, which minijinja lacks.

    {% for x in xs %}A{% if c %}{% break %}{% endif %}B{% endfor %}

becomes, as a syntax tree,

    {% set chat_loop_1 = namespace(ended=false, skipped=false, whole=false) %}
    {% for x in xs %}{% if not chat_loop_1.ended %}
    A{% if c %}{% set chat_loop_1.ended = true %}{% endif %}
    {% if not chat_loop_1.ended %}B{% endif %}
    {% endif %}{% endfor %}

What follows the tag in its turn is not reached, and the turns after a `break` do nothing. An `if`
opens no scope in either engine, so variables live as long as before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jinja2 import nodes


class LeftFromElsewhere(Exception):
    """`break` or `continue` where this cannot follow it, such as in a macro; the text says so."""


def without_loop_controls(tree: nodes.Template) -> nodes.Template:
    """`tree`, changed in place.

    Raises:
        LeftFromElsewhere: a loop that cannot be rewritten.
    """
    tree.body = _Rewriter().body(tree.body, None)
    return tree


class _Rewriter:
    def __init__(self) -> None:
        self._loops = 0

    def body(self, statements: Sequence[nodes.Node], loop: str | None) -> list[nodes.Node]:
        """Statements that are in the loop whose namespace is `loop`, or in none."""
        out: list[nodes.Node] = []
        for number, node in enumerate(statements):
            leaves = _leaves(node)
            if leaves and loop is None:
                raise LeftFromElsewhere(f"a loop is left from elsewhere, line {node.lineno}")
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
            raise LeftFromElsewhere(f"a recursive loop is left, line {node.lineno}")
        self._loops += 1
        loop = f"chat_loop_{self._loops}"
        flags = [nodes.Keyword(name, nodes.Const(False)) for name in ("ended", "skipped", "whole")]
        made = nodes.Call(nodes.Name("namespace", "load"), [], flags, None, None)
        otherwise, node.else_ = node.else_, []
        # Jinja2 takes `else` unless a turn came to its end.
        turn = [*node.body, *([_set(loop, "whole", True)] if otherwise else [])]
        turn = [_set(loop, "skipped", False), *self.body(turn, loop)]
        node.body = [_unless(loop, ("ended",), turn)]
        last = [_unless(loop, ("whole",), otherwise)] if otherwise else []
        return [nodes.Assign(nodes.Name(loop, "store"), made), node, *last]


def _leaves(node: nodes.Node) -> bool:
    """Whether a statement may leave the loop that it is in."""
    return any(isinstance(found, nodes.Break | nodes.Continue) for found in _inside(node))


def _inside(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    # What leaves an inner loop leaves only that one; its `else` is not in it.
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
