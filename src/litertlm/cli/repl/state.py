"""What a chat on a terminal works with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from litertlm.cli.output import Output
from litertlm.cli.signals import ignore_ctrl_c
from litertlm.runtime.engine import Attachment
from litertlm.services.chat.attachments import check_kinds, kinds_of
from litertlm.services.chat.chat import Chat
from litertlm.services.chat.config_options import OPTIONS, Value
from litertlm.services.chat.run import LoadedModel, chat_options

if TYPE_CHECKING:
    from litertlm.services.chat.tools import Toolbox

Values = dict[str, Value]


class Load(Protocol):
    """Loads the model."""

    def __call__(self, values: Mapping[str, Value], *, kinds: frozenset[str]) -> LoadedModel:
        """With these values, for messages that may have attachments of these kinds."""


@dataclass
class Repl:
    """A running chat.

    Attributes:
        output: where words go.
        model, chat: what answers.
        values: options in force, by name; what is not here is the bundle's own.
        load: loads the model again with other values.
        kinds: of attachments that messages may have; for others it must be loaded again.
        attached: what goes with the next message.
        raw: whether texts go to the model without a template.
        toolbox: functions that the model may call, or None.
        yes: call them without asking.
        plain: show markdown as it is written.
        hide_thinking: do not show thinking.
        stats: whether numbers follow every answer.
        prefill: text that the next prompt line begins with.
    """

    output: Output
    model: LoadedModel
    chat: Chat
    values: Values
    load: Load
    cwd: Path
    kinds: frozenset[str] = frozenset()
    attached: list[Attachment] = field(default_factory=list)
    raw: bool = False
    toolbox: Toolbox | None = None
    yes: bool = False
    plain: bool = False
    hide_thinking: bool = False
    stats: bool = False
    prefill: str = ""

    def take_prefill(self) -> str:
        """The prefill, once."""
        text, self.prefill = self.prefill, ""
        return text

    def take_attached(self) -> Sequence[Attachment]:
        """What goes with the next message, once."""
        attached, self.attached = self.attached, []
        return attached

    def take(self, attachments: Iterable[Attachment]) -> None:
        """Make the model one that messages with such attachments can be sent to.

        Raises:
            LiteRtLmError: it is none; everything stays as it was.
        """
        kinds = self.kinds | kinds_of(attachments)
        if kinds != self.kinds:
            check_kinds(self.model.name, self.model.info, kinds, raw=self.raw)
            self.reload(self.values, kinds)
            self.kinds = kinds

    def change(self, name: str, value: Value | None) -> None:
        """Put an option in force, None for the bundle's own.

        Raises:
            LiteRtLmError: the model cannot run so; everything stays as it was.
        """
        values = {key: known for key, known in self.values.items() if key != name}
        if value is not None:
            values[name] = value
        if OPTIONS[name].needs_reload:
            self.reload(values, self.kinds)
        self.values = values
        if name == "system":
            self.chat.system = str(value) if value else None
        if name == "think" and value is not None and not self.model.can_switch_thinking:
            self.output.warn(f"{self.model.name} has no switch for thinking.")
        self.refresh_options()

    def refresh_options(self) -> None:
        """Make the chat's options anew: without a seed of the user's, with another seed."""
        tools = self.chat.options.tools
        self.chat.options = chat_options(self.model.info, self.values, tools=tools)

    def reload(self, values: Values, kinds: frozenset[str]) -> None:
        """Load the model again; the messages stay."""
        self.output.status("Loading the model again...")
        # Between two models there is none to go on with.
        with ignore_ctrl_c():
            self._reload(values, kinds)

    def _reload(self, values: Values, kinds: frozenset[str]) -> None:
        messages, system = self.chat.messages, self.chat.system
        self.chat.close()
        self.model.engine.close()
        try:
            self.model = self.load(values, kinds=kinds)
        except Exception:
            self.model = self.load(self.values, kinds=self.kinds)
            raise
        finally:
            tools = self.chat.options.tools
            self.chat = self.model.chat(self.values, notice=self.output.warn)
            self.chat.messages, self.chat.system = messages, system
            self.chat.options = chat_options(self.model.info, values, tools=tools)
