"""The state of a chat on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from litertlm.cli.output import Output
from litertlm.cli.run_session import check_control_tokens
from litertlm.cli.signals import ignore_ctrl_c
from litertlm.runtime.engine import Attachment
from litertlm.services.chat import (
    OPTIONS,
    Chat,
    LoadedModel,
    RunOptions,
    Value,
    chat_options,
    check_kinds,
    kinds_of,
)

if TYPE_CHECKING:
    from litertlm.services.chat import Toolbox


class Load(Protocol):
    """Loads the model."""

    def __call__(self, options: RunOptions, *, kinds: frozenset[str]) -> LoadedModel:
        """Load with these options and encoders for these kinds of attachments."""


@dataclass
class Repl:
    """The state of a running chat.

    Attributes:
        output: prints answers and messages.
        model, chat: the loaded model and its conversation.
        options: of the user; what is not chosen is the bundle's own.
        load: reloads the model with other options.
        kinds: of attachments whose encoders are loaded.
        attached: attachments of the next message.
        raw: send text without a chat template.
        toolbox: functions that the model may call, or None.
        reject_control_tokens: do not send messages with control tokens.
        yes: call functions without asking.
        plain: do not render Markdown.
        hide_thinking: do not show thinking.
        stats: print statistics after each answer.
        prefill: initial text of the next prompt.
    """

    output: Output
    model: LoadedModel
    chat: Chat
    options: RunOptions
    load: Load
    cwd: Path
    kinds: frozenset[str] = frozenset()
    attached: list[Attachment] = field(default_factory=list)
    raw: bool = False
    toolbox: Toolbox | None = None
    reject_control_tokens: bool = False
    yes: bool = False
    plain: bool = False
    hide_thinking: bool = False
    stats: bool = False
    prefill: str = ""

    def take_prefill(self) -> str:
        """Return and clear the prefill."""
        text, self.prefill = self.prefill, ""
        return text

    def take_attached(self) -> Sequence[Attachment]:
        """Return and clear the attachments of the next message."""
        attached, self.attached = self.attached, []
        return attached

    def load_encoders(self, attachments: Iterable[Attachment]) -> None:
        """Reload the model with the encoders for `attachments`, if they are not loaded.

        Raises:
            LiteRtLmError: the model does not support them; the state is unchanged.
        """
        kinds = self.kinds | kinds_of(attachments)
        if kinds != self.kinds:
            check_kinds(self.model.name, self.model.info, kinds, raw=self.raw)
            self.reload(self.options, kinds)
            self.kinds = kinds

    def change(self, name: str, value: Value | None) -> None:
        """Set an option; None for the bundle's default.

        Raises:
            LiteRtLmError: the model does not support the value, or it is a system message whose
                control tokens are rejected; the state is unchanged.
        """
        if name == "system" and value:
            self.check_control_tokens(str(value), "system message")
        options = self.options.having(name, value)
        if OPTIONS[name].needs_reload:
            self.reload(options, self.kinds)
        self.options = options
        if name == "system":
            self.chat.system = str(value) if value else None
        if name == "think" and value is not None and not self.model.can_switch_thinking:
            self.output.warn(f"{self.model.name} has no switch for thinking.")
        self.refresh_options()

    def check_control_tokens(self, text: str, what: str) -> None:
        """Report control tokens in a text for the model; `what` names it.

        Raises:
            UsageError: there are some, and they are rejected.
        """
        check_control_tokens(
            self.output,
            self.model,
            text,
            what=what,
            raw=self.raw,
            reject=self.reject_control_tokens,
        )

    def refresh_options(self) -> None:
        """Build the chat's options again; without a seed set by the user, draw a new one."""
        tools = self.chat.options.tools
        self.chat.options = chat_options(self.model.info, self.options, tools=tools)

    def reload(self, options: RunOptions, kinds: frozenset[str]) -> None:
        """Reload the model; the messages are kept."""
        self.output.status("Reloading the model...")
        # An interruption between closing one model and loading the other would leave no model.
        with ignore_ctrl_c():
            self._reload(options, kinds)

    def _reload(self, options: RunOptions, kinds: frozenset[str]) -> None:
        messages, system = self.chat.messages, self.chat.system
        self.chat.close()
        self.model.close()
        try:
            self.model = self.load(options, kinds=kinds)
        except Exception:
            self.model = self.load(self.options, kinds=self.kinds)
            raise
        finally:
            tools = self.chat.options.tools
            self.chat = self.model.chat(self.options, notice=self.output.warn)
            self.chat.messages, self.chat.system = messages, system
            self.chat.options = chat_options(self.model.info, options, tools=tools)
