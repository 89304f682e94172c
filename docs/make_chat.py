"""Generate the tables of docs/chat.md.

    python docs/make_chat.py [--check]

With --check, nothing is written, and the exit code is 1 if the file is out of date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from litertlm.cli.commands.run import run_options
from litertlm.cli.repl.commands import COMMANDS, KEYS
from litertlm.services.chat import OPTIONS

PAGE = Path(__file__).parent / "chat.md"


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def tables() -> dict[str, str]:
    """The generated sections by name."""
    return {
        "commands": table(
            ["command", "description"], [[f"`{c.usage}`", c.help] for c in COMMANDS.values()]
        ),
        "keys": table(["key", "description"], [[key, text] for key, text in KEYS]),
        "options": table(
            ["name", "value", "description"],
            [[f"`{o.name}`", o.allowed, o.help] for o in OPTIONS.values()],
        ),
        "flags": table(["flag", "description"], flags()),
    }


def flags() -> list[list[str]]:
    """The flags of `run`, without those for downloads and conversions."""
    command = click.command("run")(run_options(lambda **values: None))
    with click.Context(command) as context:
        records = [parameter.get_help_record(context) for parameter in command.params]
    return [[f"`{name}`", text] for name, text in filter(None, records)]


def page(text: str) -> str:
    """`text` with its generated sections replaced."""
    for name, content in tables().items():
        begin, end = f"<!-- generated: {name} -->", "<!-- end -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.S)
        if len(pattern.findall(text)) != 1:
            raise SystemExit(f"{PAGE} must have exactly one section {name}")
        text = pattern.sub(lambda _: f"{begin}\n{content}\n{end}", text)  # noqa: B023
    return text


def main() -> int:
    """Write the page, or check it."""
    old = PAGE.read_text(encoding="utf-8")
    new = page(old)
    if "--check" not in sys.argv:
        PAGE.write_text(new, encoding="utf-8")
        return 0
    return int(old != new)


if __name__ == "__main__":
    sys.exit(main())
