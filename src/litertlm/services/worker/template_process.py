"""The parent's side of templates.py: templates from outside are rendered in a limited process."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any

from litertlm.bundle.adapted_template import AdaptedTemplate, SourceTemplate
from litertlm.errors import NotEnoughResources, TemplateError, TemplateLimit
from litertlm.memory import can_allocate
from litertlm.services.worker.limits import TemplateLimits
from litertlm.services.worker.worker import Worker, WorkerFailed

_WALL_SECONDS = 120.0  # on a machine that gives the process little processor time


class TemplateProcess:
    """Renders chat templates in a process of its own.

    The process starts with the first request, or with `start`. After an exceeded limit, an error or
    an interrupt it is ended, and the next request starts another one.
    """

    def __init__(self, limits: TemplateLimits | None = None) -> None:
        self._limits = limits or TemplateLimits()
        self._worker: Worker | None = None
        self._begun: SourceTemplate | None = None
        self._waiting = self._cancelled = False

    def __enter__(self) -> TemplateProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the process, so that the first request finds it ready."""
        if self._worker is None:
            self._worker = Worker("templates", shares_files=False, background=True)

    def begin(self, source: SourceTemplate) -> None:
        """Start to adapt a template; `adapt` of the same one then waits for the result."""
        self._send("adapt", source=dataclasses.asdict(source))
        self._begun = source

    def adapt(self, source: SourceTemplate) -> AdaptedTemplate:
        """`template_adapter.adapt`; the plain template for one that exceeds a limit.

        Raises:
            NotEnoughResources: this machine has no memory for it.
        """
        values = dataclasses.asdict(source)
        try:
            if self._begun != source:
                self._send("adapt", source=values)
            self._begun = None
            adapted = self._receive()
        except TemplateLimit as error:
            reason = f"The checkpoint's template exceeds a limit. {error.why}"
            adapted = self._ask("use_plain", source=values, reason=reason)
        return AdaptedTemplate(**{**adapted, "reasons": tuple(adapted["reasons"])})

    def render(
        self,
        template: str,
        variables: Mapping[str, Any],
        *,
        messages: Sequence[Mapping[str, Any]],
        **arguments: Any,
    ) -> str:
        """`hf_template.render`.

        Raises:
            TemplateError: the template is not valid, or refuses this conversation.
            TemplateLimit: it exceeds a limit.
            NotEnoughResources: this machine has no memory for it.
            KeyboardInterrupt: `cancel` was called.
        """
        return str(
            self._ask(
                "render",
                template=template,
                variables=dict(variables),
                arguments={"messages": list(messages), **arguments},
            )
        )

    def render_probes(
        self, template: str, variables: Mapping[str, Any], *, tools: bool, now: datetime
    ) -> list[str | None]:
        """The prompts of `probe_conversations(tools=tools)`, None for those that are refused.

        Args:
            now: the clock of strftime_now.

        Raises:
            TemplateLimit, NotEnoughResources: as `render`.
        """
        texts: list[str | None] = self._ask(
            "render_probes",
            template=template,
            variables=dict(variables),
            tools=tools,
            now=now.isoformat(),
        )
        return texts

    def cancel(self) -> None:
        """End a running `render`; safe in a signal handler."""
        if self._waiting and self._worker is not None:
            self._cancelled = True
            self._worker.kill()

    def close(self) -> None:
        """End the process."""
        worker, self._worker, self._begun = self._worker, None, None
        if worker is not None:
            worker.close()

    def _ask(self, action: str, **values: Any) -> Any:
        self._send(action, **values)
        return self._receive()

    def _send(self, action: str, **values: Any) -> None:
        if self._begun is not None:  # its answer would be taken for this one's
            self.close()
        self._cancelled, self._waiting = False, True
        try:
            self.start()
            assert self._worker is not None
            limits = dataclasses.asdict(self._limits)
            self._worker.send({"action": action, "limits": limits, **values})
        except BaseException:
            self._waiting = False
            self.close()
            raise

    def _receive(self) -> Any:
        assert self._worker is not None
        try:
            answer = self._worker.receive(_WALL_SECONDS)
        except WorkerFailed as failure:
            self.close()
            if self._cancelled:
                raise KeyboardInterrupt from None
            raise self._reason(failure) from failure
        except BaseException:
            self.close()
            raise
        finally:
            self._waiting = False
        if "refused" in answer:
            what, why = answer["refused"]
            raise TemplateError(what, why=why)
        if "limit" in answer:
            self.close()
            raise self._exceeded(answer["limit"])
        return answer["value"]

    def _reason(self, failure: WorkerFailed) -> Exception:
        """Why there is no answer: the template, this machine, or an error of this program."""
        number = failure.signal_number
        if failure.cause == "time" or number == getattr(signal, "SIGPROF", None):
            return self._exceeded("time")
        if failure.cause == "memory":
            return self._exceeded("memory")
        if failure.cause == "start" or number == getattr(signal, "SIGKILL", None):
            return _no_memory(f"The process for it has ended: {failure}.")
        if failure.cause == "signal":  # native code of Python or minijinja
            return _limit_error(f"The process that renders it crashes: {failure}.")
        return RuntimeError(f"The process for chat templates has failed: {failure}")

    def _exceeded(self, limit: str) -> Exception:
        limits = self._limits
        if limit == "memory" and not can_allocate(limits.memory):
            return _no_memory(f"It may take {limits.memory >> 20:,} MiB, and they are not free.")
        reasons = {
            "time": f"It takes more than {limits.seconds:.0f} s to render.",
            "memory": f"It takes more than {limits.memory >> 20:,} MiB of memory to render.",
            "depth": "It is nested too deeply.",
            "length": f"It renders more than {limits.length:,} characters.",
        }
        return _limit_error(reasons[limit])


def _limit_error(why: str) -> TemplateLimit:
    return TemplateLimit(
        "The chat template cannot be used.",
        why=why,
        hint="With --raw, run sends prompts without a template.",
    )


def _no_memory(why: str) -> NotEnoughResources:
    return NotEnoughResources(
        "Not enough memory to render the chat template.",
        why=why,
        hint="Close other programs, or raise the limit on memory (ulimit -v).",
    )
