"""Ollama's interface: answers. The models on disk are in `ollama_models`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from litertlm.server.body import Body, image_data, read_body
from litertlm.server.conversation import read_tools
from litertlm.server.errors import ApiError
from litertlm.server.state import State, stream
from litertlm.services.serve import Finished, Request, TextPiece
from litertlm.store import InstalledModel

NDJSON = "application/x-ndjson"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_S = 1e9
_DURATION = re.compile(r"(-?\d+(?:\.\d+)?)(ms|s|m|h)")
_REASONS = {"max_tokens": "length", "context": "length"}
_ANY_OBJECT = '{"type": "object"}'

Reply = Callable[[str, str], dict[str, Any]]


async def chat(http: HttpRequest) -> Response:
    """`POST /api/chat`."""
    body = await read_body(http)
    messages = tuple(_message(message) for message in body.objects("messages"))
    options = _options(body)
    tools = read_tools(body, options)
    request = Request(messages, options=options, tools=tools, drop_oldest=True)

    def reply(text: str, thinking: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        return {"message": {**message, **({"thinking": thinking} if thinking else {})}}

    return await _answer(http, body, request, reply)


async def generate(http: HttpRequest) -> Response:
    """`POST /api/generate`."""
    body = await read_body(http)
    body.refuse("suffix", "template")
    prompt = body.get("prompt", str, "")
    messages: list[dict[str, Any]] = []
    if system := body.get("system", str):
        messages.append({"role": "system", "content": system})
    if prompt:
        messages.append(_with_images({"role": "user", "content": prompt}, body))
    request = Request(
        tuple(messages),
        raw=body.get("raw", bool, False),
        options=_options(body),
        drop_oldest=True,
    )
    if not prompt:
        request = Request(())

    def reply(text: str, thinking: str) -> dict[str, Any]:
        return {"response": text, **({"thinking": thinking} if thinking else {})}

    return await _answer(http, body, request, reply)


async def _answer(http: HttpRequest, body: Body, request: Request, reply: Reply) -> Response:
    state: State = http.app.state.server
    name = body.need("model", str)
    found = await state.model(name, http)
    keep_alive_s = read_keep_alive(body)
    head = {"model": name}
    if not request.messages:
        return await _load_only(state, found, head, reply, keep_alive_s)
    if body.get("stream", bool, True):
        parts = _parts(state, found, request, head, reply, keep_alive_s)
        return await stream(http, parts, NDJSON, lambda error: line(error_body(error)))
    answer = await state.answer(http, found, request, keep_alive_s=keep_alive_s)
    whole = reply(answer.text, answer.thinking)
    _add_calls(whole, answer.end)
    return JSONResponse({**head, "created_at": now(state), **whole, **_end(answer.end)})


async def _load_only(
    state: State,
    model: InstalledModel,
    head: Mapping[str, Any],
    reply: Reply,
    keep_alive_s: float | None,
) -> Response:
    """A request without a prompt loads the model, or unloads it."""
    if keep_alive_s == 0:
        await state.manager.unload(model)
        reason = "unload"
    else:
        await state.load(model, keep_alive_s)
        reason = "load"
    ended = {"done": True, "done_reason": reason}
    return JSONResponse({**head, "created_at": now(state), **reply("", ""), **ended})


async def _parts(
    state: State,
    model: InstalledModel,
    request: Request,
    head: Mapping[str, Any],
    reply: Reply,
    keep_alive_s: float | None,
) -> AsyncIterator[str]:
    async for event in state.events(model, request, keep_alive_s=keep_alive_s):
        common = {**head, "created_at": now(state)}
        if isinstance(event, TextPiece):
            thinking = event.kind == "thinking"
            shown = reply("", event.text) if thinking else reply(event.text, "")
            yield line({**common, **shown, "done": False})
            continue
        if event.reason == "tool_calls":
            shown = reply("", "")
            _add_calls(shown, event)
            yield line({**common, **shown, "done": False})
        yield line({**common, **reply("", ""), **_end(event)})


def _add_calls(reply: dict[str, Any], end: Finished) -> None:
    if end.reason == "tool_calls":
        reply["message"]["tool_calls"] = [{"function": dict(call)} for call in end.calls]


def _end(end: Finished) -> dict[str, Any]:
    return {
        "done": True,
        "done_reason": _REASONS.get(end.reason, "stop"),
        "total_duration": _nanoseconds(end.load_s + end.total_s),
        "load_duration": _nanoseconds(end.load_s),
        "prompt_eval_count": end.prompt_tokens,
        "prompt_eval_duration": _nanoseconds(end.first_token_s),
        "eval_count": end.answer_tokens,
        "eval_duration": _nanoseconds(end.total_s - end.first_token_s),
        # Not of Ollama, which leaves them out in silence.
        **({"dropped_messages": end.dropped_messages} if end.dropped_messages else {}),
    }


def _nanoseconds(seconds: float) -> int:
    return max(0, round(seconds * 1e9))


def _message(body: Body) -> dict[str, Any]:
    role = body.need("role", str)
    if role not in {"system", "user", "assistant", "tool"}:
        raise body.error("role", "must be system, user, assistant or tool")
    message = {"role": role, "content": body.get("content", str, "")}
    if name := body.get("tool_name", str) or body.get("name", str):
        message["name"] = name
    if thinking := body.get("thinking", str):
        message["reasoning_content"] = thinking
    calls = []
    for call in body.objects("tool_calls"):
        function = call.inner("function")
        if function is None:
            raise call.error("function", "is required")
        named = {
            "name": function.need("name", str),
            "arguments": function.get("arguments", dict, {}),
        }
        calls.append({"id": "call00000", "type": "function", "function": named})
    if calls:
        message["tool_calls"] = calls
    return _with_images(message, body)


def _with_images(message: dict[str, Any], body: Body) -> dict[str, Any]:
    images = [image_data(image, body, "images") for image in body.texts("images")]
    return {**message, "images": images} if images else message


def _options(body: Body) -> dict[str, Any]:
    given = body.inner("options") or Body({})
    limit = given.integer("num_predict", -2)
    seed = given.get("seed", int)
    penalty = given.number("repeat_penalty", 0, 10)
    options = {
        "max_tokens": limit if limit is not None and limit > 0 else None,
        "temperature": given.number("temperature", 0, 10),
        "top_k": given.integer("top_k", 0) or None,
        "top_p": given.number("top_p", 0, 1) or None,
        "seed": None if seed is None or seed < 0 else seed & 0x7FFFFFFF,
        "stop": given.texts("stop"),
        "repetition_penalty": penalty if penalty and penalty > 1 else None,
        "presence_penalty": given.number("presence_penalty", -2, 2) or None,
        "frequency_penalty": given.number("frequency_penalty", -2, 2) or None,
        "schema": _schema(body),
        "think": _think(body),
    }
    return {name: value for name, value in options.items() if value not in (None, ())}


def _think(body: Body) -> bool | None:
    """`think` is a switch; levels such as `low` switch it on."""
    think = body.values.get("think")
    if think is None or isinstance(think, bool):
        return think
    if think in ("low", "medium", "high"):
        return True
    raise body.error("think", "must be true or false")


def _schema(body: Body) -> str | None:
    given = body.values.get("format")
    if given in (None, ""):
        return None
    if given == "json":
        return _ANY_OBJECT
    if not isinstance(given, dict):
        raise body.error("format", "must be json or a JSON Schema")
    return json.dumps(given)


def read_keep_alive(body: Body) -> float | None:
    """Seconds; negative for ever, None for the server's default.

    Raises:
        ApiError: it is neither a number nor a duration such as `5m`.
    """
    given = body.values.get("keep_alive")
    if given is None:
        return None
    seconds = duration_s(str(given)) if type(given) in (int, float, str) else None
    if seconds is None:
        raise body.error("keep_alive", "must be seconds or a duration such as 5m")
    return seconds


def duration_s(text: str) -> float | None:
    """Seconds of a duration such as `5m`, `1h30m`, `-1` or `90`, at most some years; None for
    other text."""
    with suppress(ValueError):
        seconds = float(text)
        return min(seconds, _LONGEST_S) if math.isfinite(seconds) else None
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return min(_LONGEST_S, sum(float(number) * _UNITS[unit] for number, unit in parts))


def now(state: State) -> str:
    """The time in Ollama's form."""
    return timestamp(state.clock())


def timestamp(seconds: float) -> str:
    """Seconds since the epoch in Ollama's form."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat().replace("+00:00", "Z")


def line(values: Mapping[str, Any]) -> str:
    """One line of a stream."""
    return json.dumps(values, ensure_ascii=False) + "\n"


def error_body(error: ApiError) -> dict[str, Any]:
    """An error in Ollama's form."""
    return {"error": error.message}


ROUTES = [
    Route("/api/chat", chat, methods=["POST"]),
    Route("/api/generate", generate, methods=["POST"]),
]
