"""Render streamed Markdown on a terminal."""

from litertlm.cli.markdown.stream import MarkdownStream, Size
from litertlm.cli.markdown.styled import printable

__all__ = ["MarkdownStream", "Size", "printable"]
