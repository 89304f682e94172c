"""Draw markdown on a terminal while it is still being written."""

from litertlm.cli.markdown.stream import MarkdownStream, Size
from litertlm.cli.markdown.styled import printable

__all__ = ["MarkdownStream", "Size", "printable"]
