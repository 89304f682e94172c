"""The runtime's prompts and token ids: rendering and tokenizing without inference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from litertlm.errors import EngineFailed
from litertlm.runtime.engine import NO_CACHE


class PromptRenderer:
    """A loaded bundle; only its tokenizer and its template are used."""

    def __init__(self, native: Any) -> None:
        self._native = native

    def tokenize(self, text: str) -> list[int]:
        """Token ids, without BOS."""
        return list(self._native.tokenize(text)) if text else []

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
        arguments: Mapping[str, Any],
    ) -> str | None:
        """The prompt of a conversation that ends with a request; None if the runtime fails."""
        import litert_lm

        class Schema(litert_lm.Tool):  # type: ignore[misc]
            def __init__(self, schema: Mapping[str, Any]) -> None:
                self._schema = dict(schema)

            def get_tool_description(self) -> dict[str, Any]:
                return self._schema

            def execute(self, param: Mapping[str, Any]) -> str:
                return ""

        *history, last = (dict(message) for message in messages)
        try:
            with self._native.create_conversation(
                messages=history or None,
                tools=[Schema(tool) for tool in tools] or None,
                extra_context=dict(arguments) or None,
            ) as conversation:
                message = last["content"] if last["role"] == "user" else last
                return str(conversation.render_message_to_string(message))
        except RuntimeError:
            return None


@contextmanager
def open_prompt_renderer(bundle: Path) -> Iterator[PromptRenderer]:
    """Load a bundle for rendering and tokenizing; nothing is written.

    Native code prints its messages on stderr, also while it renders.

    Raises:
        EngineFailed: the runtime did not load the bundle.
    """
    import litert_lm

    litert_lm.set_min_log_severity(litert_lm.LogSeverity.ERROR)
    try:
        native = litert_lm.Engine(str(bundle), backend=litert_lm.Backend.CPU(), cache_dir=NO_CACHE)
    except RuntimeError as error:
        raise EngineFailed(f"The runtime could not load {bundle}.", why=str(error)) from error
    with native:
        yield PromptRenderer(native)
