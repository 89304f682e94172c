"""OpenAI's interface: models, chat completions and completions."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from litertlm.errors import ModelNotFound
from litertlm.server.body import Body, read_body
from litertlm.server.conversation import (
    read_messages,
    read_schema,
    read_tools,
    sampling_options,
    think_option,
)
from litertlm.server.errors import ApiError, api_error
from litertlm.server.state import State, sse, stream
from litertlm.services.serve import Finished, Request, TextPiece
from litertlm.store import InstalledModel

_DONE = "data: [DONE]\n\n"
_REASONS = {
    "stop": "stop",
    "stop_string": "stop",
    "max_tokens": "length",
    "context": "length",
    "tool_calls": "tool_calls",
    "interrupted": "stop",
}


async def models(http: HttpRequest) -> Response:
    """`GET /v1/models`."""
    state: State = http.app.state.server
    data = [_model_fields(model) for model in state.catalog.models()]
    return JSONResponse({"object": "list", "data": data})


async def model(http: HttpRequest) -> Response:
    """`GET /v1/models/{id}`."""
    state: State = http.app.state.server
    try:
        return JSONResponse(_model_fields(state.catalog.find(http.path_params["name"])))
    except ModelNotFound as error:
        raise api_error(error) from error


def _model_fields(model: InstalledModel) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        "created": int(model.bundle.stat().st_mtime),
        "owned_by": model.name.partition("/")[0],
    }


async def chat_completions(http: HttpRequest) -> Response:
    """`POST /v1/chat/completions`."""
    body = await read_body(http)
    body.refuse(
        "logprobs", "top_logprobs", "functions", "audio", "prediction", "web_search_options"
    )
    options = sampling_options(body)
    if (schema := read_schema(body.inner("response_format"))) is not None:
        options["schema"] = schema
    if (think := think_option(body)) is not None:
        options["think"] = think
    tools = read_tools(body, options)
    if tools and schema is not None:
        raise body.error("response_format", "and tools are mutually exclusive")
    request = Request(read_messages(body), options=options, tools=tools)
    return await _completion(http, body, request, chat=True)


async def completions(http: HttpRequest) -> Response:
    """`POST /v1/completions`."""
    body = await read_body(http)
    body.refuse("logprobs", "suffix", "echo")
    if body.get("best_of", int, 1) != 1:
        raise body.error("best_of", "must be 1")
    prompt = body.values.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        (prompt,) = prompt
    if not isinstance(prompt, str) or not prompt:
        raise body.error("prompt", "must be a string that is not empty")
    messages = ({"role": "user", "content": prompt},)
    request = Request(messages, raw=True, options=sampling_options(body))
    return await _completion(http, body, request, chat=False)


async def _completion(http: HttpRequest, body: Body, request: Request, *, chat: bool) -> Response:
    state: State = http.app.state.server
    found = await state.model(body.need("model", str), http)
    head = {
        "id": f"{'chatcmpl' if chat else 'cmpl'}-{secrets.token_hex(12)}",
        "created": int(state.clock()),
        "model": found.name,
    }
    settings = body.inner("stream_options")
    usage = bool(settings and settings.get("include_usage", bool, False))
    if body.get("stream", bool, False):
        parts = (_chat_parts if chat else _text_parts)(state, found, request, head, usage)
        return await stream(http, parts, "text/event-stream", lambda error: sse(error_body(error)))
    answer = await state.answer(http, found, request)
    choice: dict[str, Any] = {"index": 0, "logprobs": None}
    if chat:
        choice["message"] = _message(answer.text, answer.thinking, answer.end)
    else:
        choice["text"] = answer.text
    choice["finish_reason"] = _REASONS[answer.end.reason]
    kind = "chat.completion" if chat else "text_completion"
    return JSONResponse(
        {**head, "object": kind, "choices": [choice], "usage": usage_fields(answer.end)}
    )


def _message(text: str, thinking: str, end: Finished) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if thinking:
        message["reasoning_content"] = thinking
    if end.reason == "tool_calls":
        message["content"] = text or None
        message["tool_calls"] = call_fields(end)
    return message


def call_fields(end: Finished) -> list[dict[str, Any]]:
    """The calls of an answer."""
    return [
        {
            "id": f"call_{secrets.token_hex(8)}",
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
        }
        for call in end.calls
    ]


def usage_fields(end: Finished) -> dict[str, Any]:
    """The tokens of an answer."""
    return {
        "prompt_tokens": end.prompt_tokens,
        "completion_tokens": end.answer_tokens,
        "total_tokens": end.prompt_tokens + end.answer_tokens,
        "prompt_tokens_details": {"cached_tokens": end.reused_tokens},
    }


async def _chat_parts(
    state: State,
    model: InstalledModel,
    request: Request,
    head: Mapping[str, Any],
    usage: bool,
) -> AsyncIterator[str]:
    def chunk(delta: Mapping[str, Any], reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        more = {"usage": None} if usage else {}
        return sse({**head, "object": "chat.completion.chunk", "choices": [choice], **more})

    role: dict[str, Any] = {"role": "assistant"}
    async for event in state.events(model, request):
        if isinstance(event, TextPiece):
            key = "content" if event.kind == "text" else "reasoning_content"
            yield chunk({**role, key: event.text})
            role = {}
            continue
        if event.reason == "tool_calls":
            calls = [{"index": n, **call} for n, call in enumerate(call_fields(event))]
            yield chunk({**role, "tool_calls": calls})
            role = {}
        if role:
            yield chunk({**role, "content": ""})
        yield chunk({}, _REASONS[event.reason])
        if usage:
            last = {"choices": [], "usage": usage_fields(event)}
            yield sse({**head, "object": "chat.completion.chunk", **last})
    yield _DONE


async def _text_parts(
    state: State,
    model: InstalledModel,
    request: Request,
    head: Mapping[str, Any],
    usage: bool,
) -> AsyncIterator[str]:
    def chunk(text: str, reason: str | None = None) -> str:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}
        more = {"usage": None} if usage else {}
        return sse({**head, "object": "text_completion", "choices": [choice], **more})

    async for event in state.events(model, request):
        if isinstance(event, TextPiece):
            yield chunk(event.text)
            continue
        yield chunk("", _REASONS[event.reason])
        if usage:
            last = {"choices": [], "usage": usage_fields(event)}
            yield sse({**head, "object": "text_completion", **last})
    yield _DONE


def error_body(error: ApiError) -> dict[str, Any]:
    """An error in OpenAI's form."""
    return {
        "error": {
            "message": error.message,
            "type": error.openai_type,
            "param": error.param,
            "code": error.code,
        }
    }


ROUTES = [
    Route("/v1/models", models),
    Route("/v1/models/{name:path}", model),
    Route("/v1/chat/completions", chat_completions, methods=["POST"]),
    Route("/v1/completions", completions, methods=["POST"]),
]
