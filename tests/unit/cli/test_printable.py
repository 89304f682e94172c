"""Text from outside cannot command the terminal."""

from __future__ import annotations

from litertlm.cli.errors import format_error
from litertlm.cli.printable import LONGEST_LINE, printable
from litertlm.errors import DamagedCheckpoint


def test_ordinary_text_stays() -> None:
    text = "✗ Größe von models/日本.safetensors:\n\n  x ≠ y 👍"
    assert printable(text) == text


def test_control_characters_are_shown_as_escapes() -> None:
    assert printable("a\x1b[2J\x9bb\r\x00") == r"a\x1b[2J\x9bb\r\x00"
    assert printable("a\u202egpj.exe\ud800\u2028") == r"a\u202egpj.exe\ud800\u2028"


def test_long_lines_are_shortened() -> None:
    shown = printable("a" * 70_000 + "b\nshort")
    assert len(shown) < LONGEST_LINE + 20
    assert shown.endswith("ab\nshort")
    assert " [...] " in shown


def test_an_error_shows_a_name_from_a_checkpoint_safely() -> None:
    error = DamagedCheckpoint("Tensor \x1b]0;title\x07 is damaged.", why="\x1b[31m", hint="a\x08")
    assert format_error(error) == "✗ Tensor \\x1b]0;title\\x07 is damaged.\n\n\\x1b[31m\na\\x08"
