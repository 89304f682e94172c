"""Show answers: as they come, as one JSON object, or as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from litertlm.cli.markdown import MarkdownStream, Size, printable
from litertlm.cli.output import Output
from litertlm.cli.signals import on_ctrl_c
from litertlm.services.chat.chat import Answer, Chat
from litertlm.services.chat.stream import Piece

_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


class AnswerPrinter:
    """Draws the pieces of answers.

    The answer goes to stdout; thinking is not the answer and goes to stderr, dimmed on a terminal.

    Args:
        plain: markdown stays as it is written; without a terminal it does anyway.
        thinking: whether thinking is shown.
    """

    def __init__(self, output: Output, *, plain: bool, thinking: bool) -> None:
        self._output = output
        size = output.stdout_terminal_size()
        self._on_terminal = size is not None
        self._size = None if plain else size
        self._thinking = thinking
        self._answer: MarkdownStream | None = None
        self._aside: MarkdownStream | None = None
        self._last = ""
        self._ended_line = True
        self._told = False

    def show(self, piece: Piece) -> None:
        """Show a piece at once."""
        if piece.kind == "tool":
            return
        if piece.kind == "thinking" and not self._thinking:
            if not self._told:
                self._told = True
                self._output.transient("Thinking...")
            return
        if self._last and piece.kind != self._last:
            self._end_part()
        if piece.kind == "thinking":
            if self._size and self._aside is None:
                self._aside = self._markdown(self._size, base="dim")
            text = self._aside.feed(piece.text) if self._aside else printable(piece.text)
            self._output.write_stderr(text)
        else:
            if self._size and self._answer is None:
                self._answer = self._markdown(self._size)
            self._output.write_stdout(self._drawn(piece.text))
        self._last = piece.kind
        self._ended_line = piece.text.endswith("\n")

    def _markdown(self, size: Size, base: str = "") -> MarkdownStream:
        return MarkdownStream(size, base=base, colours=self._output.colours)

    def _drawn(self, text: str) -> str:
        if self._answer is not None:
            return self._answer.feed(text)
        return printable(text) if self._on_terminal else text

    def end(self) -> None:
        """End the answer's last line."""
        if self._last:
            self._end_part()
        self._last = ""

    def _end_part(self) -> None:
        end = "" if self._ended_line else "\n"
        if self._last == "thinking":
            rest = self._aside.finish() if self._aside else ""
            self._output.write_stderr(rest + end + "\n")
            self._aside = None
        else:
            rest = self._answer.finish() if self._answer else ""
            self._output.write_stdout(rest + end)
            self._answer = None


def interruptible(chat: Chat) -> AbstractContextManager[None]:
    """Ctrl-C ends the running answer and keeps what was said, instead of ending the program."""
    return on_ctrl_c(lambda number, frame: chat.cancel())


def answer_fields(
    answer: Answer, *, model: str, options: Mapping[str, Any], load_s: float
) -> dict[str, Any]:
    """The object of `--json`."""
    return {
        "model": model,
        "text": answer.text,
        "thinking": answer.thinking,
        "finish_reason": answer.finish_reason,
        "prompt_tokens": answer.prompt_tokens,
        "reused_tokens": answer.reused_tokens,
        "answer_tokens": answer.answer_tokens,
        "dropped_messages": answer.dropped_messages,
        "timings": {
            "load_s": round(load_s, 4),
            "first_token_s": round(answer.first_token_s, 4),
            "total_s": round(answer.total_s, 4),
            "tokens_per_second": round(answer.tokens_per_second, 2),
        },
        "options": dict(options),
    }


def stats_line(answer: Answer) -> str:
    """The numbers of an answer in one line."""
    reused = f" ({answer.reused_tokens:,} from the cache)" if answer.reused_tokens else ""
    return (
        f"prompt {answer.prompt_tokens:,} tokens{reused}, "
        f"answer {answer.answer_tokens:,} tokens, "
        f"first after {answer.first_token_s:.2f} s, "
        f"{answer.tokens_per_second:.1f} tokens/s, {answer.finish_reason}"
    )


def truncation_notice(answer: Answer) -> str:
    """What to tell of an answer that did not come to its own end; empty if it did."""
    if answer.finish_reason == "context":
        return "The answer ends here because the context is full; --context makes it larger."
    if answer.finish_reason == "max_tokens":
        return f"The answer ends here after {answer.answer_tokens:,} tokens (max_tokens)."
    return ""


def json_line(value: Mapping[str, Any]) -> str:
    """One line of JSON."""
    return json.dumps(value, ensure_ascii=False) + "\n"
