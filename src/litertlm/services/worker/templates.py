"""Chat templates from outside, rendered with limits on time, memory, depth and length.

    python -m litertlm.services.worker.templates

A request is `{"action": name, "limits": TemplateLimits as a mapping, ...}`; the actions are the
functions below. The answer is one of
`value`, the result; `refused`, message and reason of a `TemplateError`; `limit`, the limit that was
exceeded: `memory`, `depth` or `length`. The one on time ends the process (SIGPROF).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from litertlm.bundle.adapted_template import SourceTemplate
from litertlm.bundle.hf_template import render
from litertlm.errors import TemplateError
from litertlm.services.worker.limits import TemplateLimits, limited
from litertlm.services.worker.serve import answer_each


class _TooLong(Exception):
    """A prompt that exceeds the limit on its length."""


def _adapt(request: Mapping[str, Any]) -> Any:
    """`template_adapter.adapt` of the `SourceTemplate` in `source`, as a mapping."""
    from litertlm.bundle.template_adapter import adapt  # which `run` does not need

    return dataclasses.asdict(adapt(SourceTemplate(**request["source"])))


def _use_plain(request: Mapping[str, Any]) -> Any:
    """`template_adapter.use_plain` for the `SourceTemplate` in `source`, and for `reason`."""
    from litertlm.bundle.template_adapter import use_plain

    return dataclasses.asdict(use_plain(SourceTemplate(**request["source"]), request["reason"]))


def _render(request: Mapping[str, Any]) -> Any:
    """`hf_template.render` of `template` with `arguments`."""
    return _checked_length(
        render(request["template"], variables=request["variables"], **request["arguments"]),
        request,
    )


def _render_probes(request: Mapping[str, Any]) -> Any:
    """Prompts of `probe_conversations`, null where `template` refuses them.

    `tools` is whether those with tools are among them, `now` the time for strftime_now.
    """
    from litertlm.bundle.probe_conversations import probe_conversations

    now = datetime.fromisoformat(request["now"])
    texts: list[str | None] = []
    for chat in probe_conversations(tools=request["tools"]):
        try:
            text = render(
                request["template"],
                chat.messages,
                request["variables"],
                tools=chat.tools,
                strftime_now=now.strftime,
                **chat.arguments,
            )
        except TemplateError:
            texts.append(None)
        else:
            texts.append(_checked_length(text, request))
    return texts


def _checked_length(text: str, request: Mapping[str, Any]) -> str:
    if len(text) > request["limits"]["length"]:
        raise _TooLong
    return text


_ACTIONS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "adapt": _adapt,
    "use_plain": _use_plain,
    "render": _render,
    "render_probes": _render_probes,
}


def work(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """See above."""
    limits = TemplateLimits(**request["limits"])
    try:
        with limited(limits.seconds, limits.memory):
            return {"value": _ACTIONS[request["action"]](request)}
    except TemplateError as error:
        return {"refused": [error.what, error.why]}
    except MemoryError:
        return {"limit": "memory"}
    except RecursionError:
        return {"limit": "depth"}
    except _TooLong:
        return {"limit": "length"}


if __name__ == "__main__":
    answer_each(work)
