"""OpenAI's `/v1/responses`, for text and functions. Nothing is stored between requests."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from litertlm.server.body import Body, read_body
from litertlm.server.conversation import (
    read_messages,
    read_schema,
    read_tools,
    sampling_options,
    think_option,
)
from litertlm.server.openai import error_body
from litertlm.server.state import State, sse, stream
from litertlm.services.serve import Finished, Request, TextPiece
from litertlm.store import InstalledModel


async def responses(http: HttpRequest) -> Response:
    """`POST /v1/responses`."""
    state: State = http.app.state.server
    body = await read_body(http)
    body.refuse("previous_response_id", "conversation", "background", "prompt", "top_logprobs")
    found = await state.model(body.need("model", str), http)
    options = sampling_options(body)
    if (limit := body.integer("max_output_tokens", 1)) is not None:
        options["max_tokens"] = limit
    text = body.inner("text")
    if (schema := read_schema(text.inner("format") if text else None)) is not None:
        options["schema"] = schema
    if (think := think_option(body)) is not None:
        options["think"] = think
    tools = read_tools(body, options, flat=True)
    request = Request(_messages(body), options=options, tools=tools)
    head = {
        "id": f"resp_{secrets.token_hex(12)}",
        "object": "response",
        "created_at": int(state.clock()),
        "model": found.name,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions", str),
        "metadata": body.get("metadata", dict, {}),
        "parallel_tool_calls": True,
        "temperature": options.get("temperature"),
        "top_p": options.get("top_p"),
        "tool_choice": "auto",
        "tools": body.get("tools", list, []),
    }
    if body.get("stream", bool, False):
        parts = _parts(state, found, request, head)
        return await stream(
            http,
            parts,
            "text/event-stream",
            lambda error: sse({"type": "error", **error_body(error)}),
        )
    answer = await state.answer(http, found, request)
    return JSONResponse(_complete(head, answer.text, answer.thinking, answer.end))


def _messages(body: Body) -> tuple[Mapping[str, Any], ...]:
    given = body.values.get("input")
    first = []
    if instructions := body.get("instructions", str):
        first.append({"role": "system", "content": instructions})
    if isinstance(given, str):
        return (*first, {"role": "user", "content": given})
    names: dict[str, str] = {}
    items = [_as_message(item, names) for item in body.objects("input")]
    whole = Body({"input": [*first, *filter(None, items)]})
    return read_messages(whole, "input")


def _as_message(item: Body, names: dict[str, str]) -> Mapping[str, Any] | None:
    """An item of the input as a message of chat completions."""
    kind = item.get("type", str, "message")
    if kind == "message":
        return item.values
    if kind == "reasoning":
        return None
    if kind == "function_call":
        names[item.need("call_id", str)] = item.need("name", str)
        function = {"name": item.need("name", str), "arguments": item.get("arguments", str, "")}
        call = {"id": item.need("call_id", str), "type": "function", "function": function}
        return {"role": "assistant", "content": "", "tool_calls": [call]}
    if kind == "function_call_output":
        id_ = item.need("call_id", str)
        output = item.values.get("output")
        content = output if isinstance(output, str) else json.dumps(output)
        return {
            "role": "tool",
            "tool_call_id": id_,
            "name": names.get(id_, ""),
            "content": content,
        }
    raise item.error("type", "is not supported")


def _complete(head: Mapping[str, Any], text: str, thinking: str, end: Finished) -> dict[str, Any]:
    output: list[dict[str, Any]] = []
    if thinking:
        output.append(_reasoning(thinking))
    if text or not end.calls:
        output.append(_text_item(f"msg_{secrets.token_hex(12)}", text))
    output += _calls(end)
    return {**head, **_ended(end), "output": output, "usage": _usage(end)}


def _ended(end: Finished) -> dict[str, Any]:
    if end.reason in {"max_tokens", "context"}:
        return {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    return {"status": "completed"}


def _reasoning(thinking: str) -> dict[str, Any]:
    content = [{"type": "reasoning_text", "text": thinking}]
    return {
        "id": f"rs_{secrets.token_hex(12)}",
        "type": "reasoning",
        "summary": [],
        "content": content,
    }


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _text_item(id_: str, text: str, status: str = "completed") -> dict[str, Any]:
    content = [_text_part(text)] if status == "completed" else []
    return {
        "id": id_,
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def _calls(end: Finished) -> list[dict[str, Any]]:
    if end.reason != "tool_calls":
        return []
    return [
        {
            "id": f"fc_{secrets.token_hex(8)}",
            "type": "function_call",
            "call_id": f"call_{secrets.token_hex(8)}",
            "name": call["name"],
            "arguments": json.dumps(call["arguments"]),
            "status": "completed",
        }
        for call in end.calls
    ]


def _usage(end: Finished) -> dict[str, Any]:
    return {
        "input_tokens": end.prompt_tokens,
        "input_tokens_details": {"cached_tokens": end.reused_tokens},
        "output_tokens": end.answer_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": end.prompt_tokens + end.answer_tokens,
    }


async def _parts(
    state: State, model: InstalledModel, request: Request, head: Mapping[str, Any]
) -> AsyncIterator[str]:
    number = 0

    def event(kind: str, **fields: Any) -> str:
        nonlocal number
        number += 1
        return sse({"type": kind, "sequence_number": number - 1, **fields}, kind)

    texts: dict[str, list[str]] = {"text": [], "thinking": []}
    id_ = f"msg_{secrets.token_hex(12)}"
    begun = False
    async for piece in state.events(model, request):
        if not begun:
            begun = True
            running = {**head, "status": "in_progress", "output": [], "usage": None}
            yield event("response.created", response=running)
        if isinstance(piece, TextPiece):
            if piece.kind == "text":
                place = {"item_id": id_, "output_index": 0, "content_index": 0}
                if not texts["text"]:
                    item = _text_item(id_, "", "in_progress")
                    yield event("response.output_item.added", output_index=0, item=item)
                    yield event("response.content_part.added", **place, part=_text_part(""))
                yield event("response.output_text.delta", **place, delta=piece.text, logprobs=[])
            texts[piece.kind].append(piece.text)
            continue
        text = "".join(texts["text"])
        output: list[dict[str, Any]] = []
        if text:
            place = {"item_id": id_, "output_index": 0, "content_index": 0}
            yield event("response.output_text.done", **place, text=text, logprobs=[])
            yield event("response.content_part.done", **place, part=_text_part(text))
            output.append(_text_item(id_, text))
            yield event("response.output_item.done", output_index=0, item=output[0])
        for call in _calls(piece):
            place = {"output_index": len(output)}
            yield event("response.output_item.added", **place, item={**call, "arguments": ""})
            done = {"item_id": call["id"], **place, "arguments": call["arguments"]}
            yield event(
                "response.function_call_arguments.delta",
                **{"item_id": call["id"], **place, "delta": call["arguments"]},
            )
            yield event("response.function_call_arguments.done", **done, name=call["name"])
            yield event("response.output_item.done", **place, item=call)
            output.append(call)
        if texts["thinking"]:
            output.append(_reasoning("".join(texts["thinking"])))
        ended = _ended(piece)
        whole = {**head, **ended, "output": output, "usage": _usage(piece)}
        yield event(f"response.{ended['status']}", response=whole)


ROUTES = [Route("/v1/responses", responses, methods=["POST"])]
