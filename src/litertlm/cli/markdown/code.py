"""Syntax highlighting, line by line."""

from __future__ import annotations

from litertlm.cli.markdown.styled import RESET

# Looked up from the most specific token type: Name.Function.Magic, Name.Function, Name.
_COLOURS = {
    "Keyword": "35",
    "Name.Function": "34",
    "Name.Class": "34",
    "Name.Tag": "34",
    "Name.Builtin": "36",
    "Name.Decorator": "36",
    "Name.Attribute": "36",
    "Literal.String": "32",
    "Literal.Number": "33",
    "Operator.Word": "35",
    "Comment": "2",
}
# How a line is coloured may depend on the lines before it; only this many characters are lexed.
_MAX_CONTEXT_CHARS = 20_000


class Colours:
    """Highlights the lines of one code block.

    Args:
        language: the info string of the fence.

    Raises:
        LookupError: unknown language.
    """

    def __init__(self, language: str) -> None:
        # Takes 20 ms or more, so only when there is code.
        from pygments.lexers import get_lexer_by_name
        from pygments.util import ClassNotFound

        try:
            self._lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
        except ClassNotFound as error:
            raise LookupError(language) from error
        self._before = ""

    def line(self, text: str) -> str:
        """Highlight a line (without its newline)."""
        code = self._before + text
        shown, out, place = "", "", -len(self._before)
        for kind, part in self._lexer.get_tokens(code):
            own = part[max(0, -place) :].rstrip("\n")
            place += len(part)
            if own:
                colour = _colour(str(kind))
                out += f"\x1b[{colour}m{own}{RESET}" if colour else own
                shown += own
        self._before = (code + "\n")[-_MAX_CONTEXT_CHARS:]
        # Some lexers normalize their input; then the line is returned unchanged.
        return out if shown == text else text


def _colour(kind: str) -> str:
    name = kind.removeprefix("Token.")
    while name and name not in _COLOURS:
        name = name.rpartition(".")[0]
    return _COLOURS.get(name, "")
