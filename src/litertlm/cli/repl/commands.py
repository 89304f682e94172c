"""The slash commands of a chat: one table, used by /help, completion and docs/chat.md."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from pathlib import Path

from litertlm.cli.answers import stats_line
from litertlm.cli.output import listing
from litertlm.cli.repl.clipboard import copy_with_program, terminal_copy_sequence
from litertlm.cli.repl.conversation_file import read_conversation, write_conversation
from litertlm.cli.repl.state import Repl
from litertlm.errors import UsageError
from litertlm.services.chat import (
    OPTIONS,
    Value,
    find_option,
    kinds_taken,
    parse_value,
    read_attachment,
)


class Next(Enum):
    """What the chat does after a command."""

    PROMPT = "prompt"
    ANSWER = "answer"
    QUIT = "quit"


@dataclass(frozen=True)
class Command:
    """A slash command.

    Attributes:
        name: without the slash.
        arguments: for the usage line.
        help: one line of help.
        run: executes the command.
        complete: completions of the text after the command's name.
    """

    name: str
    arguments: str
    help: str
    run: Callable[[Repl, str], Next]
    complete: Callable[[str], Iterable[str]] = lambda text: ()

    @property
    def usage(self) -> str:
        """The usage line of /help."""
        return f"/{self.name} {self.arguments}".rstrip()


def run_command(repl: Repl, line: str) -> Next:
    """Run the command `line`, which begins with a slash.

    Raises:
        UsageError: unknown command, or invalid argument.
    """
    name, _, argument = line[1:].partition(" ")
    command = COMMANDS.get(name.lower())
    if command is None:
        near = get_close_matches(name.lower(), COMMANDS, n=1, cutoff=0.4)
        hint = f"Did you mean /{near[0]}? " if near else ""
        raise UsageError(
            f"Unknown command: /{name}.",
            hint=f"{hint}/help lists all commands; // at the start sends a slash to the model.",
        )
    return command.run(repl, argument.strip())


def help_text(width: int) -> str:
    """The text of /help, `width` columns wide."""
    commands = listing([[command.usage, command.help] for command in COMMANDS.values()], width)
    keys = listing([[key, text] for key, text in KEYS], width)
    return f"Commands:\n{commands}\n\nKeys:\n{keys}"


KEYS = (
    ("Enter", "Send the message."),
    ("Ctrl-J, Alt-Enter", 'New line. Text between """ and """ may have several lines.'),
    ("Up, Down, Ctrl-R", "Previous messages; Ctrl-R searches them."),
    ("Tab", "Complete a command or its argument."),
    ("Ctrl-C", "Stop the answer (the text so far is kept); at the prompt, clear the line."),
    ("Ctrl-D", "Exit (on an empty line)."),
    ("Ctrl-G", "Edit the message in $EDITOR."),
    ("Ctrl-L", "Clear the screen."),
    ("Ctrl-Z", "Suspend; `fg` in the shell continues."),
)


def _help(repl: Repl, argument: str) -> Next:
    if argument:
        command = COMMANDS.get(argument.lstrip("/").lower())
        if command is None:
            raise UsageError(f"Unknown command: {argument}.", hint="/help lists all commands.")
        repl.output.note(f"{command.usage}\n  {command.help}")
    else:
        repl.output.note(help_text(repl.output.width))
    return Next.PROMPT


def _quit(repl: Repl, argument: str) -> Next:
    return Next.QUIT


def _clear(repl: Repl, argument: str) -> Next:
    repl.chat.clear()
    repl.output.note("Conversation cleared.")
    return Next.PROMPT


def _system(repl: Repl, argument: str) -> Next:
    if argument:
        repl.change("system", None if argument == "none" else _unquoted(argument))
        repl.output.note("System message changed.")
    else:
        repl.output.note(repl.chat.system or "No system message.")
    return Next.PROMPT


def _set(repl: Repl, argument: str) -> Next:
    name, _, text = argument.partition(" ")
    if not name:
        repl.output.note(_options_text(repl))
        return Next.PROMPT
    option = find_option(name)
    text = text.strip()
    if not text:
        repl.output.note(f"{option.name}: {_shown(repl.options.given().get(option.name))}")
        return Next.PROMPT
    value: Value | None
    if text == "default":
        value = None
    else:
        value = parse_value(option, _unquoted(text) if option.kind != "text" else text)
        if option.name == "stop":
            value = (*repl.options.stop, *_texts(value))
    repl.change(option.name, value)
    repl.output.note(f"{option.name}: {_shown(value)}")
    return Next.PROMPT


def _show(repl: Repl, argument: str) -> Next:
    model, chat = repl.model, repl.chat
    rows = [
        ["model", model.name],
        ["bundle", str(model.bundle)],
        ["context", f"{model.engine.info.context:,} tokens, {chat.filled:.0%} used"],
        ["backend", model.engine.info.backend],
        ["messages", str(len(chat.messages))],
        ["system", chat.system or "none"],
    ]
    repl.output.note(f"{listing(rows, repl.output.width)}\n\n{_options_text(repl)}")
    return Next.PROMPT


def _stats(repl: Repl, argument: str) -> Next:
    answer = repl.chat.last
    repl.output.note(stats_line(answer) if answer else "No answer yet.")
    return Next.PROMPT


def _regenerate(repl: Repl, argument: str) -> Next:
    if not repl.chat.rewind():
        raise UsageError("There is no answer to regenerate.")
    repl.refresh_options()
    return Next.ANSWER


def _undo(repl: Repl, argument: str) -> Next:
    question = repl.chat.undo()
    if question is None:
        raise UsageError("There is nothing to undo.")
    repl.output.note(f"Removed: {_short(question['content'])}")
    return Next.PROMPT


def _edit(repl: Repl, argument: str) -> Next:
    question = repl.chat.undo()
    if question is None:
        raise UsageError("There is no message to edit.")
    repl.prefill = question["content"]
    repl.attached[:0] = question.get("attachments", ())
    return Next.PROMPT


def _save(repl: Repl, argument: str) -> Next:
    path = _path(repl, argument)
    options = {key: value for key, value in repl.options.given().items() if key != "system"}
    write_conversation(path, repl.model.name, options, repl.chat)
    repl.output.note(f"Saved {len(repl.chat.messages)} messages to {path}.")
    return Next.PROMPT


def _load(repl: Repl, argument: str) -> Next:
    path = _path(repl, argument)
    system, messages = read_conversation(path)
    repl.check_control_tokens("\n".join(m["content"] for m in messages), "conversation")
    repl.load_encoders(file for message in messages for file in message.get("attachments", ()))
    repl.change("system", system)
    repl.chat.clear()
    repl.chat.messages.extend(messages)
    repl.output.note(f"Loaded {len(messages)} messages from {path}.")
    return Next.PROMPT


def _copy(repl: Repl, argument: str) -> Next:
    answer = repl.chat.last
    if answer is None:
        raise UsageError("There is no answer to copy.")
    program = copy_with_program(answer.text, os.environ)
    if program is None:
        repl.output.write_stderr(terminal_copy_sequence(answer.text))
    way = program or "terminal"
    repl.output.note(f"Copied {len(answer.text):,} characters ({way}).")
    return Next.PROMPT


def _attach(repl: Repl, argument: str) -> Next:
    kinds_taken(repl.model.name, repl.model.info)
    if argument == "none":
        repl.attached.clear()
        repl.output.note("No attachments.")
    elif argument:
        attachment = read_attachment(_path(repl, argument))
        repl.load_encoders([attachment])
        repl.attached.append(attachment)
        size = len(attachment.data) / 1e3
        repl.output.note(
            f"Attached {attachment.path.name} ({size:,.1f} kB) to the next message. "
            "/attach none removes it."
        )
    else:
        paths = [str(attachment.path) for attachment in repl.attached]
        repl.output.note("\n".join(paths) or "No attachments.")
    return Next.PROMPT


def _template(repl: Repl, argument: str) -> Next:
    if argument == "prompt":
        repl.output.note(repl.chat.prompt_text())
    else:
        info = repl.model.info
        repl.output.note(info.properties.get("chat_template") or info.template or "none")
    return Next.PROMPT


def _tokens(repl: Repl, argument: str) -> Next:
    if argument:
        ids = repl.model.engine.tokenize(argument)
        repl.output.note(f"{len(ids)} tokens: {' '.join(map(str, ids))}")
    else:
        used, context = repl.chat.used_tokens(), repl.model.engine.info.context
        repl.output.note(f"{used:,} of {context:,} tokens used ({used / context:.0%}).")
    return Next.PROMPT


def _texts(value: Value) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (str(value),)


def _options_text(repl: Repl) -> str:
    given = repl.options.given()
    rows = [[name, _shown(given.get(name)), option.help] for name, option in OPTIONS.items()]
    return f"Options (`/set NAME VALUE`, `/set NAME default`):\n{listing(rows, repl.output.width)}"


def _shown(value: Value | None) -> str:
    if value is None:
        return "default"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return " ".join(json.dumps(text, ensure_ascii=False) for text in value)
    return _short(str(value))


def _short(text: str, width: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _path(repl: Repl, argument: str) -> Path:
    if not argument:
        raise UsageError("Missing file name.")
    return repl.cwd / Path(_unquoted(argument)).expanduser()


def _complete_options(text: str) -> Iterable[str]:
    name, space, value = text.partition(" ")
    if not space:
        return (f"{option} " for option in OPTIONS if option.startswith(name))
    option = OPTIONS.get(name)
    if option is None:
        return ()
    offered = ("on", "off") if option.kind == "switch" else option.choices
    return (f"{name} {choice}" for choice in (*offered, "default") if choice.startswith(value))


def _complete_files(text: str) -> Iterable[str]:
    path = Path(text).expanduser()
    folder, start = (path, "") if text.endswith("/") or not text else (path.parent, path.name)
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return ()
    shown = text[: len(text) - len(start)]
    return (
        f"{shown}{entry.name}{'/' if entry.is_dir() else ''}"
        for entry in entries
        if entry.name.startswith(start) and (start or not entry.name.startswith("."))
    )


def _complete_commands(text: str) -> Iterable[str]:
    return (name for name in COMMANDS if name.startswith(text))


COMMANDS = {
    command.name: command
    for command in (
        Command("help", "[COMMAND]", "Show this help.", _help, _complete_commands),
        Command("bye", "", "Exit.", _quit),
        Command("clear", "", "Clear the conversation; keeps the system message.", _clear),
        Command("system", "[TEXT|none]", "Set, remove or show the system message.", _system),
        Command(
            "set", "[NAME [VALUE]]", "Set an option, or show all options.", _set, _complete_options
        ),
        Command("show", "", "Show the model, the conversation and the options.", _show),
        Command("stats", "", "Statistics of the last answer.", _stats),
        Command("regenerate", "", "Answer the last message again.", _regenerate),
        Command("undo", "", "Remove the last message and its answer.", _undo),
        Command("edit", "", "Edit and resend the last message.", _edit),
        Command("save", "FILE", "Save the conversation to a file.", _save, _complete_files),
        Command("load", "FILE", "Load a saved conversation.", _load, _complete_files),
        Command("copy", "", "Copy the last answer to the clipboard.", _copy),
        Command(
            "attach",
            "[FILE|none]",
            "Attach an image or audio file to the next message; none removes all attachments.",
            _attach,
            _complete_files,
        ),
        Command(
            "template",
            "[prompt]",
            "Show the chat template, or the rendered prompt.",
            _template,
            lambda text: [name for name in ("prompt",) if name.startswith(text)],
        ),
        Command("tokens", "[TEXT]", "Count the tokens of a text, or of the conversation.", _tokens),
    )
}
