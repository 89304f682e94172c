"""Requests to a model worker that end while the prompt is rendered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from litertlm.bundle_format.info import BundleInfo
from litertlm.services.chat import LoadedModel, template_render
from litertlm.services.serve import model_worker
from litertlm.services.serve.events import Request
from litertlm.services.worker import TemplateLimits, TemplateProcess
from scripted import ScriptedEngine

NEVER_ENDS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
HOSTILE = f"{{% if messages[0].content == 'slow' %}}{NEVER_ENDS}{{% endif %}}a"
Sent = list[dict[str, Any]]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[model_worker.Server, Sent]]:
    """A worker of a model whose template never ends for the message `slow`."""
    info = BundleInfo(template=HOSTILE)
    # Only `cancel` ends it: no limit does so within a test.
    with template_render(info, TemplateProcess(TemplateLimits(seconds=3600))) as render:
        engine = ScriptedEngine(["yes"])
        model = LoadedModel("m", Path("m.litertlm"), info, engine, render)
        monkeypatch.setattr(model_worker, "_load", lambda *arguments: model)
        sent: Sent = []
        order = {"reject_control_tokens": False, "options": {}, "cache": None, "name": "m"}
        order |= {"bundle": "m.litertlm", "session_bytes": 1 << 30, "sessions": 2}
        yield model_worker.Server(order, sent.append), sent  # type: ignore[arg-type]


@pytest.mark.parametrize("count_only", [False, True])
@pytest.mark.parametrize("ends", ["cancel", "stop_rendering"])
def test_a_request_ends_while_its_prompt_is_rendered(
    ends: str, count_only: bool, worker: tuple[model_worker.Server, Sent]
) -> None:
    server, sent = worker
    server.begin()
    slow = Request(({"role": "user", "content": "slow"},), count_only=count_only)
    thread = threading.Thread(target=server.answer, args=(slow,), daemon=True)
    thread.start()
    end: Callable[[], None] = getattr(server, ends)
    while thread.is_alive():  # it may not have begun to render
        end()
        time.sleep(0.05)
    assert [line["finished"]["reason"] for line in sent] == ["cancelled"]
    server.begin()
    server.answer(Request(({"role": "user", "content": "quick"},)))
    assert [line["piece"]["text"] for line in sent if "piece" in line] == ["yes"]


def test_a_request_that_was_cancelled_before_it_began(
    worker: tuple[model_worker.Server, Sent],
) -> None:
    server, sent = worker
    server.begin()
    server.cancel()
    server.answer(Request(({"role": "user", "content": "slow"},)))
    assert [line["finished"]["reason"] for line in sent] == ["cancelled"]
