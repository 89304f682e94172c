"""Anthropic's interface: `/v1/messages` and its count of tokens."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from litertlm.server.body import Body, image_data, read_body
from litertlm.server.conversation import force_call, function_tool
from litertlm.server.errors import ApiError
from litertlm.server.state import State, sse, stream
from litertlm.services.serve import Finished, Request, TextPiece
from litertlm.store import InstalledModel

_REASONS = {
    "stop": "end_turn",
    "stop_string": "stop_sequence",
    "max_tokens": "max_tokens",
    "context": "max_tokens",
    "tool_calls": "tool_use",
    "interrupted": "end_turn",
}


async def messages(http: HttpRequest) -> Response:
    """`POST /v1/messages`."""
    state: State = http.app.state.server
    body = await read_body(http)
    found = await state.model(body.need("model", str), http)
    options = {
        "max_tokens": body.integer("max_tokens", 1),
        "temperature": body.number("temperature", 0, 10),
        "top_p": body.number("top_p", 0, 1) or None,
        "top_k": body.integer("top_k", 1),
        "stop": body.texts("stop_sequences"),
    }
    if options["max_tokens"] is None:
        raise body.error("max_tokens", "is required")
    thinking = body.inner("thinking")
    if thinking is not None:
        options["think"] = thinking.need("type", str) != "disabled"
    chosen = {name: value for name, value in options.items() if value not in (None, ())}
    tools = _tools(body, chosen)
    request = Request(_messages(body), options=chosen, tools=tools)
    head = {
        "id": f"msg_{secrets.token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": found.name,
    }
    if body.get("stream", bool, False):
        parts = _parts(state, found, request, head)
        return await stream(
            http, parts, "text/event-stream", lambda error: sse(error_body(error), "error")
        )
    answer = await state.answer(http, found, request)
    content: list[dict[str, Any]] = []
    if answer.thinking:
        content.append({"type": "thinking", "thinking": answer.thinking, "signature": ""})
    if answer.text:
        content.append({"type": "text", "text": answer.text})
    content += _tool_blocks(answer.end)
    return JSONResponse(
        {
            **head,
            "content": content,
            "stop_reason": _REASONS[answer.end.reason],
            "stop_sequence": None,
            "usage": _usage(answer.end),
        }
    )


async def count_tokens(http: HttpRequest) -> Response:
    """`POST /v1/messages/count_tokens`."""
    state: State = http.app.state.server
    body = await read_body(http)
    found = await state.model(body.need("model", str), http)
    request = Request(_messages(body), tools=_tools(body, {}), count_only=True)
    answer = await state.answer(http, found, request)
    return JSONResponse({"input_tokens": answer.end.prompt_tokens})


def _messages(body: Body) -> tuple[Mapping[str, Any], ...]:
    found: list[dict[str, Any]] = []
    system = body.values.get("system")
    if isinstance(system, list):
        system = "\n".join(part.need("text", str) for part in body.objects("system"))
    if system is not None and not isinstance(system, str):
        raise body.error("system", "must be a string or an array of text blocks")
    if system:
        found.append({"role": "system", "content": system})
    names: dict[str, str] = {}
    for message in body.objects("messages"):
        role = message.need("role", str)
        if role not in {"user", "assistant"}:
            raise message.error("role", "must be user or assistant")
        if isinstance(message.values.get("content"), str):
            found.append({"role": role, "content": message.values["content"]})
        else:
            found += _from_blocks(role, message, names)
    if not any(message["role"] == "user" for message in found):
        raise body.error("messages", "must have a message of the user")
    return tuple(found)


def _from_blocks(role: str, message: Body, names: dict[str, str]) -> Iterator[dict[str, Any]]:
    """One message, and one for each result of a call before it."""
    texts: list[str] = []
    images: list[str] = []
    calls: list[dict[str, Any]] = []
    for block in message.objects("content"):
        match block.need("type", str):
            case "text":
                texts.append(block.need("text", str))
            case "image":
                source = block.inner("source")
                if source is None or source.need("type", str) != "base64":
                    raise block.error("source", "must be base64: this server opens no addresses")
                images.append(image_data(source.need("data", str), source, "data"))
            case "tool_use":
                name, id_ = block.need("name", str), block.need("id", str)
                names[id_] = name
                function = {"name": name, "arguments": block.get("input", dict, {})}
                calls.append({"id": id_, "type": "function", "function": function})
            case "tool_result":
                id_ = block.need("tool_use_id", str)
                yield {
                    "role": "tool",
                    "name": names.get(id_, ""),
                    "tool_call_id": id_,
                    "content": _result(block),
                }
            case "thinking" | "redacted_thinking":
                continue
            case _:
                raise block.error("type", "is not supported")
    if texts or images or calls:
        made: dict[str, Any] = {"role": role, "content": "\n".join(texts)}
        if images:
            made["images"] = images
        if calls:
            made["tool_calls"] = calls
        yield made


def _result(block: Body) -> str:
    content = block.values.get("content")
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.get("text", str, "") for part in block.objects("content"))


def _tools(body: Body, options: dict[str, Any]) -> tuple[Mapping[str, Any], ...]:
    tools = tuple(
        function_tool(
            tool.need("name", str),
            tool.get("description", str, ""),
            tool.get("input_schema", dict, {}),
        )
        for tool in body.objects("tools")
    )
    choice = body.inner("tool_choice")
    kind = choice.need("type", str) if choice else "auto"
    if kind == "none":
        return ()
    if choice is not None and kind != "auto":
        if kind not in {"any", "tool"}:
            raise choice.error("type", "must be auto, any, tool or none")
        name = choice.need("name", str) if kind == "tool" else None
        force_call(tools, name, options, body)
    return tools


def _tool_blocks(end: Finished) -> list[dict[str, Any]]:
    if end.reason != "tool_calls":
        return []
    return [
        {
            "type": "tool_use",
            "id": f"toolu_{secrets.token_hex(8)}",
            "name": call["name"],
            "input": call["arguments"],
        }
        for call in end.calls
    ]


def _usage(end: Finished) -> dict[str, int]:
    """Anthropic counts tokens from the cache apart."""
    return {
        "input_tokens": end.prompt_tokens - end.reused_tokens,
        "cache_read_input_tokens": end.reused_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": end.answer_tokens,
    }


async def _parts(
    state: State, model: InstalledModel, request: Request, head: Mapping[str, Any]
) -> AsyncIterator[str]:
    def event(kind: str, **fields: Any) -> str:
        return sse({"type": kind, **fields}, kind)

    index, open_kind = 0, ""
    begun = False
    async for piece in state.events(model, request):
        if not begun:
            begun = True
            usage = {"input_tokens": 0, "output_tokens": 0}
            message = {**head, "content": [], "stop_reason": None, "stop_sequence": None}
            yield event("message_start", message={**message, "usage": usage})
        kind = piece.kind if isinstance(piece, TextPiece) else ""
        if open_kind and kind != open_kind:
            yield event("content_block_stop", index=index)
            index += 1
        if isinstance(piece, TextPiece):
            key = "text" if kind == "text" else "thinking"
            if kind != open_kind:
                signature = {} if key == "text" else {"signature": ""}
                block = {"type": key, key: "", **signature}
                yield event("content_block_start", index=index, content_block=block)
            delta = {"type": f"{key}_delta", key: piece.text}
            yield event("content_block_delta", index=index, delta=delta)
            open_kind = kind
            continue
        for block in _tool_blocks(piece):
            data = json.dumps(block["input"])
            yield event("content_block_start", index=index, content_block={**block, "input": {}})
            delta = {"type": "input_json_delta", "partial_json": data}
            yield event("content_block_delta", index=index, delta=delta)
            yield event("content_block_stop", index=index)
            index += 1
        ended = {"stop_reason": _REASONS[piece.reason], "stop_sequence": None}
        yield event("message_delta", delta=ended, usage=_usage(piece))
        yield event("message_stop")


def error_body(error: ApiError) -> dict[str, Any]:
    """An error in Anthropic's form."""
    return {"type": "error", "error": {"type": error.anthropic_type, "message": error.message}}


ROUTES = [
    Route("/v1/messages", messages, methods=["POST"]),
    Route("/v1/messages/count_tokens", count_tokens, methods=["POST"]),
]
