"""The prompt: key bindings, history, completion, pastes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import is_searching
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import create_output

from litertlm.cli.repl.commands import COMMANDS
from litertlm.cli.signals import deferred

BLOCK = '"""'
# A longer paste would make every key slow, so the line shows a label in its place.
_LONG_PASTE_CHARS = 2000
_MAX_HISTORY_CHARS = 20_000


class PromptLine:
    """Reads messages from the terminal.

    Args:
        history: file of previous messages, or None for no history file.
        to_stderr: draw on stderr, if stdout is not a terminal.
        warn: receives a warning when a message cannot be saved in the history.
    """

    def __init__(
        self,
        history: Path | None,
        *,
        to_stderr: bool,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._warn = warn
        self._unsaved = ""
        self._pastes: dict[str, str] = {}
        self._stopped = False
        self._session: PromptSession[str] = PromptSession(
            history=_history(history, self._expanded, self._remember_unsaved),
            key_bindings=self._keys(),
            completer=_CommandCompleter(),
            complete_while_typing=False,
            multiline=True,
            enable_suspend=True,
            prompt_continuation=lambda width, line, wraps: "" if wraps else "... ",
            tempfile_suffix=".md",
            output=create_output(stdout=sys.stderr) if to_stderr else None,
        )

    def ask(self, prompt: str, *, default: str = "") -> str:
        """Read the next message; triple quotes around it are removed.

        Raises:
            EOFError: Ctrl-D on an empty line, or the terminal was closed.
            KeyboardInterrupt: Ctrl-C on an empty line, or a signal.
        """
        self._pastes.clear()
        self._stopped = False
        with deferred(self._stop):
            line = self._session.prompt(
                ANSI(prompt), default=default, pre_run=self._exit_if_stopped
            )
        if self._unsaved:
            self._warn(f"The message is not in the history: {self._unsaved}.")
            self._unsaved = ""
        text = self._expanded(line).strip()
        # Bytes that are not UTF-8 arrive as lone surrogates, which cannot be encoded later.
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if text.startswith(BLOCK):
            return text.removeprefix(BLOCK).removesuffix(BLOCK).strip("\n")
        return text

    def _remember_unsaved(self, error: OSError) -> None:
        # A warning in the middle of the prompt would disturb its lines.
        self._unsaved = error.strerror or str(error)

    def _stop(self) -> None:
        """End the prompt soon; called by a signal handler."""
        self._stopped = True
        loop = self._session.app.loop
        if loop is not None:
            with suppress(RuntimeError):  # the prompt has ended, and its loop is closed
                loop.call_soon_threadsafe(self._exit_if_stopped)

    def _exit_if_stopped(self) -> None:
        app = self._session.app
        if self._stopped and app.is_running and not app.is_done:
            app.exit(exception=EOFError)

    def _expanded(self, text: str) -> str:
        for label, pasted in self._pastes.items():
            text = text.replace(label, pasted)
        return text

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("enter", filter=~is_searching)
        def _(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            text = buffer.text.strip()
            if text.startswith(BLOCK) and (text.count(BLOCK) == 1 or not text.endswith(BLOCK)):
                buffer.insert_text("\n")
            elif text:
                buffer.validate_and_handle()

        @keys.add("c-j")
        @keys.add("escape", "enter")
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text("\n")

        @keys.add("c-c", filter=~is_searching)
        @keys.add("<sigint>")
        def _(event: KeyPressEvent) -> None:
            if event.current_buffer.text:
                event.current_buffer.reset()
            else:
                event.app.exit(exception=KeyboardInterrupt, style="class:aborting")

        @keys.add("c-g", filter=~is_searching)
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.text = self._expanded(event.current_buffer.text)
            event.current_buffer.open_in_editor()

        @keys.add(Keys.BracketedPaste)
        def _(event: KeyPressEvent) -> None:
            text = event.data.replace("\r\n", "\n").replace("\r", "\n")
            if len(text) > _LONG_PASTE_CHARS:
                lines = text.count("\n") + 1
                label = (
                    f"[paste {len(self._pastes) + 1}: {len(text):,} characters, {lines:,} lines]"
                )
                self._pastes[label] = text
                text = label
            event.current_buffer.insert_text(text)

        return keys


class _CommandCompleter(Completer):
    """Completes slash commands and their arguments."""

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        if not text.startswith("/") or text.startswith("//") or "\n" in text:
            return
        name, space, argument = text[1:].partition(" ")
        if space:
            command = COMMANDS.get(name)
            offered = command.complete(argument) if command else ()
            written = argument
        else:
            offered = (f"{key} " if takes_argument(key) else key for key in COMMANDS)
            offered = (key for key in offered if key.startswith(name))
            written = name
        for choice in offered:
            yield Completion(choice, start_position=-len(written), display=choice.split("/")[-1])


def takes_argument(name: str) -> bool:
    """Whether a command takes an argument."""
    return bool(COMMANDS[name].arguments)


def _history(
    path: Path | None, expanded: Callable[[str], str], failed: Callable[[OSError], None]
) -> History:
    """The history: in the file if it is writable, else in memory."""

    class LimitedHistory(FileHistory):
        def append_string(self, string: str) -> None:
            text = expanded(string)
            if len(text) <= _MAX_HISTORY_CHARS:
                super().append_string(text)

        def store_string(self, string: str) -> None:
            try:
                super().store_string(string)
            except OSError as error:  # the disk is full; the chat goes on
                failed(error)

    if path is None:
        return InMemoryHistory()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Messages may be private.
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return LimitedHistory(str(path))
