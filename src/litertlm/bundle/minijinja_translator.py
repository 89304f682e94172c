"""Translate a Jinja2 template to the subset of the language that minijinja shares.

Jinja2 parses the template, and its syntax tree is written as source again: so white space control,
adjacent literals and block trimming are resolved before the runtime gets the template. Calls of
Python's methods become filters and tests, and tests whose meaning differs are written out.

Differences of the runtime (litert-lm-api 0.18.1, measured with
`Conversation.render_message_to_string`):
- maps and strings have no methods;
- `is none` is true for undefined values only, and null is neither `none` nor formatted as Python
  does it;
- tojson takes no options, and there is no break or continue (minijinja_loops.py);
- the source is edited with regular expressions first: anything that looks like a call of a string
  method is rewritten, inside of string literals too. So such dots are written as escapes here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from jinja2 import nodes

from litertlm.bundle import minijinja_methods as methods
from litertlm.bundle.jinja_literals import text_literal
from litertlm.bundle.minijinja_loops import UnsupportedLoopExit, without_loop_controls

_BINARY: dict[type[nodes.BinExpr], str] = {
    nodes.Add: "+",
    nodes.Sub: "-",
    nodes.Mul: "*",
    nodes.Div: "/",
    nodes.FloorDiv: "//",
    nodes.Mod: "%",
    nodes.Pow: "**",
    nodes.And: "and",
    nodes.Or: "or",
}
_COMPARE = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "lteq": "<=",
    "gt": ">",
    "gteq": ">=",
    "in": "in",
    "notin": "not in",
}
# Functions of Jinja2 that the runtime lacks.
_MISSING = frozenset({"cycler", "joiner", "lipsum"})
# Methods of Python's dict hide keys of the same name when an attribute is read.
_DICT_METHODS = frozenset(dir(dict))


class Untranslatable(Exception):
    """A construct that has no equivalent in minijinja; the text names it."""


class Translator:
    """Writes a syntax tree as minijinja source.

    Args:
        python_text: format values that may not be strings with `python_str`.
    """

    def __init__(self, *, python_text: bool) -> None:
        self._python_text = python_text
        self.macros: set[str] = set()

    def template(self, tree: nodes.Template) -> str:
        """The template's body; `macros` then names the macros that it needs."""
        try:
            return self._body(without_loop_controls(tree).body)
        except UnsupportedLoopExit as error:
            raise Untranslatable(str(error)) from error

    # Statements: each becomes one or more tags that strip the white space around them.

    def _body(self, body: Sequence[nodes.Node]) -> str:
        return "".join(self._statement(node) for node in body)

    def _statement(self, node: nodes.Node) -> str:
        method: Callable[[nodes.Node], str] | None = getattr(
            self, f"_do_{type(node).__name__.lower()}", None
        )
        if method is None:
            raise Untranslatable(f"the statement {type(node).__name__}, line {node.lineno}")
        return method(node)

    def _do_output(self, node: nodes.Output) -> str:
        out = []
        for part in node.nodes:
            if isinstance(part, nodes.TemplateData):
                if part.data:
                    out.append("{{- " + text_literal(part.data) + " -}}\n")
            else:
                out.append("{{- " + self._formatted(part) + " -}}\n")
        return "".join(out)

    def _do_if(self, node: nodes.If) -> str:
        out = [_tag("if", self._expr(node.test)), self._body(node.body)]
        for branch in node.elif_:
            out += [_tag("elif", self._expr(branch.test)), self._body(branch.body)]
        if node.else_:
            out += [_tag("else"), self._body(node.else_)]
        return "".join([*out, _tag("endif")])

    def _do_for(self, node: nodes.For) -> str:
        head = f"{self._target(node.target)} in {self._expr(node.iter)}"
        if node.test is not None:
            head += f" if {self._expr(node.test)}"
        if node.recursive:
            head += " recursive"
        out = [_tag("for", head), self._body(node.body)]
        if node.else_:
            out += [_tag("else"), self._body(node.else_)]
        return "".join([*out, _tag("endfor")])

    def _do_assign(self, node: nodes.Assign) -> str:
        return _tag("set", f"{self._target(node.target)} = {self._expr(node.node)}")

    def _do_assignblock(self, node: nodes.AssignBlock) -> str:
        target = self._target(node.target)
        out = _tag("set", target) + self._body(node.body) + _tag("endset")
        if node.filter is None:
            return out
        return out + _tag("set", f"{target} = {self._expr(_applied(node.filter, target))}")

    def _do_filterblock(self, node: nodes.FilterBlock) -> str:
        block = _tag("set", "chat_block") + self._body(node.body) + _tag("endset")
        return block + "{{- " + self._expr(_applied(node.filter, "chat_block")) + " -}}\n"

    def _do_macro(self, node: nodes.Macro) -> str:
        head = f"{node.name}({self._parameters(node)})"
        return _tag("macro", head) + self._body(node.body) + _tag("endmacro")

    def _do_callblock(self, node: nodes.CallBlock) -> str:
        parameters = self._parameters(node)
        head = f"({parameters}) " if parameters else ""
        return _tag("call", head + self._expr(node.call)) + self._body(node.body) + _tag("endcall")

    def _do_scope(self, node: nodes.Scope) -> str:
        return _tag("with") + self._body(node.body) + _tag("endwith")

    def _do_with(self, node: nodes.With) -> str:
        pairs = zip(node.targets, node.values, strict=True)
        head = ", ".join(f"{self._target(t)} = {self._expr(v)}" for t, v in pairs)
        return _tag("with", head) + self._body(node.body) + _tag("endwith")

    def _parameters(self, node: nodes.Macro | nodes.CallBlock) -> str:
        names = [argument.name for argument in node.args]
        plain = len(names) - len(node.defaults)
        defaults = [self._expr(value) for value in node.defaults]
        with_default = [f"{n}={v}" for n, v in zip(names[plain:], defaults, strict=True)]
        return ", ".join([*names[:plain], *with_default])

    def _target(self, node: nodes.Node) -> str:
        if isinstance(node, nodes.Name):
            return node.name
        if isinstance(node, nodes.NSRef):
            return f"{node.name}.{node.attr}"
        if isinstance(node, nodes.Tuple):
            return ", ".join(self._target(item) for item in node.items)
        raise Untranslatable(f"an assignment to {type(node).__name__}, line {node.lineno}")

    # Expressions: those that are not atomic are in parentheses, so precedence does not matter.

    def _formatted(self, node: nodes.Expr) -> str:
        text = self._expr(node)
        if self._python_text and not _is_text(node):
            self.macros.add("text")
            return f"python_str({text})"
        return text

    def _expr(self, node: nodes.Node) -> str:
        if isinstance(node, nodes.BinExpr):
            if isinstance(node, nodes.Mod) and _is_text(node.left):
                return self._interpolated(node)
            sign = _BINARY[type(node)]
            return f"({self._expr(node.left)} {sign} {self._expr(node.right)})"
        method: Callable[[nodes.Node], str] | None = getattr(
            self, f"_{type(node).__name__.lower()}", None
        )
        if method is None:
            raise Untranslatable(f"the expression {type(node).__name__}, line {node.lineno}")
        return method(node)

    def _const(self, node: nodes.Const) -> str:
        if isinstance(node.value, str):
            return text_literal(node.value)
        if node.value is None or isinstance(node.value, bool):
            return str(node.value).lower()
        return repr(node.value)

    def _templatedata(self, node: nodes.TemplateData) -> str:
        return text_literal(node.data)

    def _name(self, node: nodes.Name) -> str:
        return node.name

    def _list(self, node: nodes.List) -> str:
        return "[" + ", ".join(self._expr(item) for item in node.items) + "]"

    _tuple = _list

    def _dict(self, node: nodes.Dict) -> str:
        pairs = (f"{self._expr(pair.key)}: {self._expr(pair.value)}" for pair in node.items)
        return "{" + ", ".join(pairs) + "}"

    def _not(self, node: nodes.Not) -> str:
        return f"(not {self._expr(node.node)})"

    def _neg(self, node: nodes.Neg) -> str:
        return f"(-{self._expr(node.node)})"

    def _compare(self, node: nodes.Compare) -> str:
        left, parts = node.expr, []
        for operand in node.ops:
            sign = _COMPARE[operand.op]
            parts.append(f"({self._expr(left)} {sign} {self._expr(operand.expr)})")
            left = operand.expr
        return parts[0] if len(parts) == 1 else "(" + " and ".join(parts) + ")"

    def _concat(self, node: nodes.Concat) -> str:
        # Operands of `~` that are not strings are not compared before the bundle is written: the
        # package minijinja formats them as Python does, and the runtime does not.
        return "(" + " ~ ".join(self._text(part) for part in node.nodes) + ")"

    def _condexpr(self, node: nodes.CondExpr) -> str:
        text = f"{self._expr(node.expr1)} if {self._expr(node.test)}"
        return f"({text})" if node.expr2 is None else f"({text} else {self._expr(node.expr2)})"

    def _getattr(self, node: nodes.Getattr) -> str:
        if node.attr in _DICT_METHODS:
            raise Untranslatable(f"the attribute {node.attr}, line {node.lineno}")
        return f"{self._expr(node.node)}.{node.attr}"

    def _getitem(self, node: nodes.Getitem) -> str:
        if isinstance(node.arg, nodes.Slice):
            parts = [node.arg.start, node.arg.stop, node.arg.step]
            texts = ["" if part is None else self._expr(part) for part in parts]
            index = ":".join(texts[:2] if node.arg.step is None else texts)
        else:
            index = self._expr(node.arg)
        return f"{self._expr(node.node)}[{index}]"

    def _filter(self, node: nodes.Filter) -> str:
        if node.node is None:
            raise Untranslatable(f"a filter block, line {node.lineno}")
        value = self._expr(node.node)
        if node.name in ("safe", "string"):
            return value if node.name == "safe" else self._text(node.node)
        if node.name == "tojson" and (node.args or node.kwargs):
            return self._json(value, node)
        if node.name in ("e", "escape"):
            return methods.escaped(self._text(node.node))
        if node.name == "replace" and len(node.args) == 3:
            three = [self._expr(argument) for argument in node.args]
            return str(methods.translated("replace", value, three))
        arguments = self._arguments(node.args, _keywords(node))
        return f"({value}|{node.name}({arguments}))" if arguments else f"({value}|{node.name})"

    def _json(self, value: str, node: nodes.Filter) -> str:
        """tojson with options, which are those of transformers' filter, in its order."""
        names = ("ensure_ascii", "indent", "separators", "sort_keys")
        given: dict[str, nodes.Expr] = dict(zip(names, node.args, strict=False))
        given.update((pair.key, pair.value) for pair in _keywords(node))
        try:
            options = {name: option.as_const() for name, option in given.items()}
        except nodes.Impossible:
            raise Untranslatable(f"options of tojson, line {node.lineno}") from None
        indent = options.get("indent")
        # `ensure_ascii` needs the code points of characters, which minijinja cannot give.
        if options.get("ensure_ascii") or not isinstance(indent, int | None) or len(given) > 4:
            raise Untranslatable(f"options of tojson, line {node.lineno}")
        comma, colon = options.get("separators") or (", " if indent is None else ",", ": ")
        ordered = bool(options.get("sort_keys"))
        if indent is None and (comma, colon, ordered) == (", ", ": ", False):
            return f"({value}|tojson)"
        self.macros.add("json")
        spaces = -1 if indent is None else indent
        signs = f"{text_literal(comma)}, {text_literal(colon)}"
        return f"python_json({value}, {spaces}, {signs}, {str(ordered).lower()}, 0)"

    def _interpolated(self, node: nodes.Mod) -> str:
        """`"..." % values`."""
        values = node.right.items if isinstance(node.right, nodes.Tuple) else [node.right]
        parts = None
        if isinstance(node.left, nodes.Const):
            parts = methods.interpolated(node.left.value, [self._text(value) for value in values])
        if parts is None:
            raise Untranslatable(f"the operator % of a text, line {node.lineno}")
        return self._joined(parts)

    def _joined(self, parts: Sequence[str]) -> str:
        texts = [text_literal(part[1:]) if part[0] == "=" else part for part in parts]
        return "(" + " ~ ".join(texts) + ")"

    def _text(self, node: nodes.Expr) -> str:
        """A value as Python's str formats it."""
        if _is_text(node):
            return self._expr(node)
        self.macros.add("text")
        return f"python_str({self._expr(node)})"

    def _test(self, node: nodes.Test) -> str:
        value = self._expr(node.node)
        if node.name == "none":
            return f"({value} == none)"
        if node.name == "sequence":
            return f"({value} is sequence or {value} is string or {value} is mapping)"
        if node.name == "iterable":
            return f"({value} is iterable and {value} != none)"
        arguments = self._arguments(node.args, _keywords(node))
        return (
            f"({value} is {node.name}({arguments}))" if arguments else f"({value} is {node.name})"
        )

    def _call(self, node: nodes.Call) -> str:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise Untranslatable(f"starred arguments, line {node.lineno}")
        if isinstance(node.node, nodes.Getattr):
            return self._method(node, node.node)
        if isinstance(node.node, nodes.Name) and node.node.name in _MISSING:
            raise Untranslatable(f"the function {node.node.name}, line {node.lineno}")
        return f"{self._expr(node.node)}({self._arguments(node.args, node.kwargs)})"

    def _arguments(self, args: Sequence[nodes.Expr], kwargs: Sequence[nodes.Keyword]) -> str:
        plain = [self._expr(argument) for argument in args]
        return ", ".join([*plain, *(f"{k.key}={self._expr(k.value)}" for k in kwargs)])

    def _method(self, node: nodes.Call, method: nodes.Getattr) -> str:
        """A call of a method of Python's str or dict as a filter or test."""
        name = method.attr
        value = self._expr(method.node)
        args = [self._expr(argument) for argument in node.args]
        if isinstance(method.node, nodes.Name) and method.node.name == "loop":
            return f"loop.{name}({', '.join(args)})"
        if name in ("startswith", "endswith") and len(args) == 1:
            test = "startingwith" if name == "startswith" else "endingwith"
            choices = node.args[0]
            texts = choices.items if isinstance(choices, nodes.Tuple) else [choices]
            tests = [f"({value} is {test}({self._expr(text)}))" for text in texts]
            return tests[0] if len(tests) == 1 else "(" + " or ".join(tests) + ")"
        if name in ("append", "update", "pop"):
            return f"raise_exception({text_literal(f'{name} is not allowed')})"
        if name == "format" and isinstance(method.node, nodes.Const):
            named = {keyword.key: self._text(keyword.value) for keyword in node.kwargs}
            texts_of_args = [self._text(argument) for argument in node.args]
            parts = methods.formatted(str(method.node.value), texts_of_args, named)
            if parts is not None:
                return self._joined(parts)
        text = None if node.kwargs else methods.translated(name, value, args)
        if text is None:
            raise Untranslatable(f"the method {name}, line {node.lineno}")
        return text


def _applied(chain: nodes.Filter, name: str) -> nodes.Filter:
    """The filters of a block, applied to a variable."""
    inner = chain.node
    value = _applied(inner, name) if isinstance(inner, nodes.Filter) else nodes.Name(name, "load")
    return nodes.Filter(value, chain.name, chain.args, chain.kwargs, None, None)


def _keywords(node: nodes.Filter | nodes.Test) -> Sequence[nodes.Keyword]:
    # The parser puts Keyword nodes here, although the field is declared as Pair.
    return cast("Sequence[nodes.Keyword]", node.kwargs)


def _tag(name: str, rest: str = "") -> str:
    return f"{{%- {name} {rest} -%}}\n" if rest else f"{{%- {name} -%}}\n"


def _is_text(node: nodes.Node) -> bool:
    """Whether an expression is certainly a string."""
    if isinstance(node, nodes.Const):
        return isinstance(node.value, str)
    if isinstance(node, nodes.Concat | nodes.TemplateData):
        return True
    if isinstance(node, nodes.Add):
        return _is_text(node.left) or _is_text(node.right)
    if isinstance(node, nodes.CondExpr):
        return _is_text(node.expr1) and node.expr2 is not None and _is_text(node.expr2)
    return isinstance(node, nodes.Filter) and node.name in ("trim", "tojson", "string", "join")
