"""One loaded model, in a process of its own.

    python -m litertlm.services.serve.model_worker

The first line on stdin: `{"name", "bundle", "cache" (a path or null), "options" (of `RunOptions`),
"sessions", "session_bytes", "reject_control_tokens"}`; the answer is `{"loaded": {...}}` or
`{"failed": {...}}`. Then one request at a time: `{"request": {...}}` (see `events.Request`), and
lines with `piece`, `finished` or `failed`. `{"cancel": true}` ends the running answer soon, also
while its prompt is rendered. The process ends when stdin is closed, so it never outlives the
server.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from litertlm.errors import LiteRtLmError, UsageError
from litertlm.memory import resident_bytes
from litertlm.progress import SilentProgress
from litertlm.runtime.engine import Attachment
from litertlm.services.chat import (
    Chat,
    LoadedModel,
    RunOptions,
    SessionPool,
    chat_options,
    kinds_of,
    load_model,
    plain_render,
    read_calls,
    split_calls,
    template_source,
    tool_parameters,
)
from litertlm.services.serve.events import Request, error_fields


class Server:
    """The loaded model and the running answer."""

    def __init__(self, order: Mapping[str, Any], send: Callable[[Mapping[str, Any]], None]) -> None:
        self._send = send
        self._rejects = bool(order["reject_control_tokens"])
        self._running: Chat | None = None
        self._cancelled = False
        self._defaults = _options(order["options"])
        # Requests without a seed share this one, and so can share sessions.
        self._seed = int.from_bytes(os.urandom(4), "little") >> 1
        cache = order["cache"]
        self._model = _load(order["name"], Path(order["bundle"]), cache, self._defaults)
        limit = (resident_bytes() or 0) + int(order["session_bytes"])
        self._pool = SessionPool(
            self._model.engine,
            most=int(order["sessions"]),
            full=lambda: (resident_bytes() or 0) > limit,
        )

    @property
    def facts(self) -> dict[str, Any]:
        """What the server tells its clients about the model."""
        return {
            "context": self._model.engine.info.context,
            "images": self._model.info.images,
            "memory_bytes": resident_bytes(),
        }

    def cancel(self) -> None:
        """End the running answer soon."""
        self._cancelled = True
        if (running := self._running) is not None:
            running.cancel()

    def stop_rendering(self) -> None:
        """End the process of the chat template if it renders."""
        self._model.render.cancel()

    def begin(self) -> None:
        """Called before each request, by the thread that also receives `cancel`."""
        self._cancelled = False

    def answer(self, request: Request) -> None:
        """Send the answer."""
        chat = self._running = self._chat(request)
        try:
            if self._cancelled:  # before there was something to cancel
                raise KeyboardInterrupt
            self._answer(chat, request)
        except KeyboardInterrupt:  # while the prompt was rendered
            self._send({"finished": _finished("cancelled", 0, 0, 0, 0.0, 0.0)})
        finally:
            self._running = None

    def _answer(self, chat: Chat, request: Request) -> None:
        if request.count_only:
            tokens = chat.used_tokens()
            self._send({"finished": _finished("stop", tokens, 0, 0, 0.0, 0.0)})
            return
        parameters = tool_parameters(request.tools)
        for piece in split_calls(chat.proceed(), parameters):
            if self._cancelled:
                chat.cancel()
            if piece.kind != "tool":
                self._send({"piece": {"kind": piece.kind, "text": piece.text}})
        answer = chat.last
        assert answer is not None
        calls: list[Any] = []
        if request.tools and chat.messages[-1]["role"] == "assistant":
            calls, _ = read_calls(chat.messages[-1]["content"], parameters)
        fields = _finished(
            "tool_calls" if calls and answer.finish_reason == "stop" else answer.finish_reason,
            answer.prompt_tokens,
            answer.reused_tokens,
            answer.answer_tokens,
            answer.first_token_s,
            answer.total_s,
        )
        more = {
            "calls": [call.fields for call in calls],
            "dropped_messages": answer.dropped_messages,
        }
        self._send({"finished": {**fields, **more}})

    def _chat(self, request: Request) -> Chat:
        options = _options(request.options).over(self._defaults)
        greedy = options.temperature == 0 or options.top_k == 1
        seeded = options.seed is not None and not greedy
        if not seeded:
            options = replace(options, seed=0 if greedy else self._seed)
        self._check(request)
        forced = options.schema is not None
        if request.tools and not forced and "tools" not in template_source(self._model.info):
            raise UsageError(
                f"{self._model.name} does not support tools.", why="Its chat template has none."
            )
        chosen = chat_options(self._model.info, options, tools=request.tools)
        chat = Chat(
            self._model.engine,
            plain_render if request.raw else self._model.render,
            replace(chosen, drop_oldest=request.drop_oldest, new_session=seeded),
            notice=lambda text: None,
            cancel_render=self._model.render.cancel,
            pool=self._pool,
        )
        chat.messages = [_message(message) for message in request.messages]
        if kinds_of(chat.attachments()) and not self._model.info.images:
            raise UsageError(f"{self._model.name} does not support images.")
        return chat

    def _check(self, request: Request) -> None:
        if not self._rejects:
            return
        for message in request.messages:
            if found := self._model.control_tokens(str(message.get("content") or "")):
                raise UsageError(
                    f"A message contains the control token {found[0]}.",
                    why="The model would read it as a token and not as text.",
                )


def _load(name: str, bundle: Path, cache: str | None, options: RunOptions) -> LoadedModel:
    from litertlm.bundle_format.info import read_bundle_info

    kinds = frozenset({"image"}) if read_bundle_info(bundle).images else frozenset()
    return load_model(
        name,
        bundle,
        None if cache is None else Path(cache),
        options,
        progress=SilentProgress(),
        kinds=kinds,
    )


def _options(values: Mapping[str, Any]) -> RunOptions:
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return RunOptions(**{**values, **lists})


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(message)
    images: Sequence[str] = made.pop("images", ())
    if images:
        made["attachments"] = tuple(
            Attachment("image", Path(f"image-{number}"), base64.b64decode(data))
            for number, data in enumerate(images, 1)
        )
    return made


def _finished(
    reason: str, prompt: int, reused: int, answer: int, first_s: float, total_s: float
) -> dict[str, Any]:
    return {
        "reason": reason,
        "prompt_tokens": prompt,
        "reused_tokens": reused,
        "answer_tokens": answer,
        "first_token_s": first_s,
        "total_s": total_s,
    }


def main() -> None:
    """Serve until stdin is closed."""
    # Ctrl-C reaches the server too, which decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Native code may print on descriptor 1, which is not its own here.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def send(values: Mapping[str, Any]) -> None:
        answers.write(json.dumps(values).encode() + b"\n")
        answers.flush()

    orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    served: list[Server] = []

    def listen() -> None:
        for line in sys.stdin.buffer:
            order = json.loads(line)
            if "cancel" not in order:
                for server in served:
                    server.begin()
                orders.put(order)
            for server in served if "cancel" in order else ():
                server.cancel()
        for server in served:
            server.stop_rendering()  # busy, that process would not notice the end of this one
        os._exit(0)

    threading.Thread(target=listen, name="orders", daemon=True).start()
    try:
        served.append(Server(orders.get(), send))
    except LiteRtLmError as error:
        send({"failed": error_fields(error)})
        os._exit(0)
    send({"loaded": served[0].facts})
    while True:
        order = orders.get()
        try:
            values = order["request"]
            served[0].answer(
                Request(
                    **{
                        **values,
                        "messages": tuple(values["messages"]),
                        "tools": tuple(values["tools"]),
                    }
                )
            )
        except LiteRtLmError as error:
            send({"failed": error_fields(error)})


if __name__ == "__main__":
    main()
