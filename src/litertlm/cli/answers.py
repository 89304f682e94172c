"""Print answers: streamed as text, as one JSON object, or as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from litertlm.cli.markdown import MarkdownStream, Size, printable
from litertlm.cli.output import Output
from litertlm.cli.signals import on_ctrl_c
from litertlm.services.chat import Answer, Chat, Piece

_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


class AnswerPrinter:
    """Prints the pieces of an answer as they arrive.

    The answer goes to stdout; thinking goes to stderr, dimmed on a terminal.

    Args:
        plain: print Markdown source; always so when stdout is not a terminal.
        thinking: whether to show thinking.
    """

    def __init__(self, output: Output, *, plain: bool, thinking: bool) -> None:
        self._output = output
        size = output.stdout_terminal_size()
        self._on_terminal = size is not None
        self._size = None if plain else size
        self._thinking = thinking
        self._answer_stream: MarkdownStream | None = None
        self._thinking_stream: MarkdownStream | None = None
        self._last = ""
        self._at_line_start = True
        self._thinking_announced = False

    def show(self, piece: Piece) -> None:
        """Print one piece."""
        if piece.kind == "tool":
            return
        if piece.kind == "thinking" and not self._thinking:
            if not self._thinking_announced:
                self._thinking_announced = True
                self._output.transient("Thinking...")
            return
        if self._last and piece.kind != self._last:
            self._end_part()
        if piece.kind == "thinking":
            if self._size and self._thinking_stream is None:
                self._thinking_stream = self._markdown(self._size, base="dim")
            text = (
                self._thinking_stream.feed(piece.text)
                if self._thinking_stream
                else printable(piece.text)
            )
            self._output.write_stderr(text)
        else:
            if self._size and self._answer_stream is None:
                self._answer_stream = self._markdown(self._size)
            self._output.write_stdout(self._rendered(piece.text))
        self._last = piece.kind
        self._at_line_start = piece.text.endswith("\n")

    def _markdown(self, size: Size, base: str = "") -> MarkdownStream:
        return MarkdownStream(size, base=base, colours=self._output.colours)

    def _rendered(self, text: str) -> str:
        if self._answer_stream is not None:
            return self._answer_stream.feed(text)
        return printable(text) if self._on_terminal else text

    def end(self) -> None:
        """Finish the last line of the answer."""
        if self._last:
            self._end_part()
        self._last = ""

    def _end_part(self) -> None:
        end = "" if self._at_line_start else "\n"
        if self._last == "thinking":
            rest = self._thinking_stream.finish() if self._thinking_stream else ""
            self._output.write_stderr(rest + end + "\n")
            self._thinking_stream = None
        else:
            rest = self._answer_stream.finish() if self._answer_stream else ""
            self._output.write_stdout(rest + end)
            self._answer_stream = None


def interruptible(chat: Chat) -> AbstractContextManager[None]:
    """Inside the context, Ctrl-C stops the answer, which is kept, and not the program."""
    return on_ctrl_c(lambda number, frame: chat.cancel())


def answer_fields(
    answer: Answer, *, model: str, options: Mapping[str, Any], load_s: float
) -> dict[str, Any]:
    """The fields of an answer in `--json`."""
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
    """Statistics of an answer in one line."""
    reused = f" ({answer.reused_tokens:,} from the cache)" if answer.reused_tokens else ""
    return (
        f"prompt {answer.prompt_tokens:,} tokens{reused}, "
        f"answer {answer.answer_tokens:,} tokens, "
        f"time to first token {answer.first_token_s:.2f} s, "
        f"{answer.tokens_per_second:.1f} tokens/s, {answer.finish_reason}"
    )


def truncation_notice(answer: Answer) -> str:
    """A message for an answer that was cut off; empty if the model ended it itself."""
    if answer.finish_reason == "context":
        return "Answer cut off: the context is full. Use a larger --context."
    if answer.finish_reason == "max_tokens":
        return f"Answer cut off after {answer.answer_tokens:,} tokens (max_tokens)."
    return ""


def json_line(value: Mapping[str, Any]) -> str:
    """One line of JSON."""
    return json.dumps(value, ensure_ascii=False) + "\n"
