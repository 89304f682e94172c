"""`GET /openapi.json`: the OpenAPI description of all routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import litertlm
from litertlm.server import openapi_schemas as s
from litertlm.server.errors import RETRY_AFTER_S
from litertlm.server.openapi_schemas import COUNT, MODEL, STRING, TEXT, TIME, Schema, exact, ref

_JSON = "application/json"
_EVENTS = "text/event-stream"
_LINES = "application/x-ndjson"
_REASONS = {
    400: "The request is not valid or asks for what is not supported.",
    401: "The API key is missing or wrong.",
    403: "The host, the origin or the client is not allowed.",
    404: "There is no such model.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    429: "The queue is full.",
    500: "The model's process ended.",
    502: "The Hub cannot be reached.",
    503: "Not enough memory, or too many connections.",
}
_GUARD = (400, 401, 403)
_LATER = {429, 503}
_BODY = (*_GUARD, 404, 408, 413)
_ANSWER = (*_BODY, 429, 500, 502, 503)


def _response(description: str, content: Mapping[str, Schema]) -> dict[str, Any]:
    return {
        "description": description,
        "content": {kind: {"schema": schema} for kind, schema in content.items()},
    }


def _errors(form: str, statuses: tuple[int, ...]) -> dict[str, Any]:
    found = {}
    for status in statuses:
        response = _response(_REASONS[status], {_JSON: ref(form)})
        if status in _LATER:
            response["headers"] = {
                "Retry-After": {"schema": {"type": "integer", "const": RETRY_AFTER_S}}
            }
        found[str(status)] = response
    return found


def _operation(
    name: str,
    summary: str,
    form: str,
    statuses: tuple[int, ...],
    content: Mapping[str, Schema],
    body: Schema | None = None,
) -> dict[str, Any]:
    """An operation.

    Args:
        name: its id; what is before the first `_` is its tag.
        form: of its errors.
        content: of its answer, by media type.
    """
    given: dict[str, Any] = {}
    if body is not None:
        given["requestBody"] = {"required": True, "content": {_JSON: {"schema": body}}}
    return {
        "operationId": name,
        "summary": summary,
        "tags": [name.partition("_")[0]],
        **given,
        "responses": {"200": _response("Done.", content), **_errors(form, statuses)},
    }


def _get(name: str, summary: str, form: str, answer: Schema) -> dict[str, Any]:
    return {"get": _operation(name, summary, form, _GUARD, {_JSON: answer})}


def _post(
    name: str,
    summary: str,
    form: str,
    body: Schema,
    answer: Schema,
    stream: str | None = None,
    statuses: tuple[int, ...] = _ANSWER,
) -> dict[str, Any]:
    content = {_JSON: answer, **({stream: {}} if stream else {})}
    return {"post": _operation(name, summary, form, statuses, content, body)}


_USAGE = exact(
    prompt_tokens=COUNT,
    completion_tokens=COUNT,
    total_tokens=COUNT,
    prompt_tokens_details=exact(cached_tokens=COUNT),
)
_CALL = exact(id=STRING, type=s.FUNCTION, function=exact(name=STRING, arguments=STRING))
_ANSWER_MESSAGE = s.record(
    *("role", "content", "refusal"),
    role={"const": "assistant"},
    content=TEXT,
    refusal=s.NULL,
    reasoning_content=STRING,
    tool_calls=s.array(_CALL),
)
_FINISH = s.one_of("stop", "length", "tool_calls")
_HEAD = {"id": STRING, "created": COUNT, "model": STRING, "usage": _USAGE}


def _completion(kind: str, **choice: Schema) -> Schema:
    choices = s.array(exact(index=COUNT, logprobs=s.NULL, finish_reason=_FINISH, **choice))
    return exact(object={"const": kind}, choices=choices, **_HEAD)


_RESPONSE = s.record(
    *("id", "object", "created_at", "model", "status", "output", "usage"),
    id=STRING,
    object={"const": "response"},
    created_at=COUNT,
    model=STRING,
    status=s.one_of("completed", "incomplete"),
    output=s.array(s.record("id", "type", id=STRING, type=STRING)),
    usage=s.record("input_tokens", "output_tokens", "total_tokens"),
)
_ANTHROPIC_MESSAGE = exact(
    id=STRING,
    type={"const": "message"},
    role={"const": "assistant"},
    model=STRING,
    content=s.array(s.record("type", type=s.one_of("text", "thinking", "tool_use"))),
    stop_reason=s.one_of("end_turn", "max_tokens", "stop_sequence", "tool_use"),
    stop_sequence=TEXT,
    usage=exact(
        input_tokens=COUNT,
        cache_read_input_tokens=COUNT,
        cache_creation_input_tokens=COUNT,
        output_tokens=COUNT,
    ),
)


def _ollama_answer(**fields: Schema) -> Schema:
    head = {
        "model": STRING,
        "created_at": TIME,
        "done": {"const": True},
        "done_reason": s.one_of("stop", "length", "load", "unload"),
        **fields,
    }
    return s.record(*head, **head, **s.OLLAMA_END)


_OLLAMA_CHAT = s.record(
    "model",
    model=MODEL,
    messages=s.optional(s.array(ref("OllamaMessage"))),
    tools=s.optional(
        s.array(s.record("function", function=s.record("name", name=STRING)), maxItems=3)
    ),
    **s.OLLAMA,
)
_OLLAMA_GENERATE = s.record(
    "model",
    model=MODEL,
    prompt=TEXT,
    system=TEXT,
    raw=s.FLAG,
    images=s.optional(s.array(s.BASE64, maxItems=2)),
    **s.OLLAMA,
)
_SHOWN = exact(
    modelfile=STRING,
    parameters=STRING,
    template=STRING,
    details=s.OBJECT,
    model_info=s.OBJECT,
    capabilities=s.array(s.one_of("completion", "tools", "vision", "thinking")),
    modified_at=TIME,
)
_CATALOG_ENTRY = exact(
    alias=STRING,
    model=STRING,
    parameters=STRING,
    download_bytes=COUNT,
    bundle_bytes=COUNT,
    context=COUNT,
    licence=STRING,
    gated=s.BOOLEAN,
    on_disk=s.BOOLEAN,
)
_NAME = ref("OllamaModelName")
_PULL = {"allOf": [_NAME, s.record(stream=s.FLAG)]}
_OPEN, _ANT, _OLL = "OpenAIError", "AnthropicError", "OllamaError"
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": MODEL,
    "description": "May contain a `/`.",
}

_PATHS: dict[str, Any] = {
    "/": {
        "get": _operation(
            "server_root",
            "The chat page for clients that accept HTML; else a line of text",
            _OPEN,
            (403,),
            {"text/plain": STRING, "text/html": STRING},
        )
    },
    "/health": _get("server_health", "Whether the server runs", _OPEN, exact(status=STRING)),
    "/metrics": {
        "get": _operation(
            "server_metrics", "Metrics for Prometheus", _OPEN, _GUARD, {"text/plain": STRING}
        )
    },
    "/openapi.json": _get("server_openapi", "This description", _OPEN, s.OBJECT),
    "/v1/models": _get(
        "openai_models",
        "The models on disk",
        _OPEN,
        exact(object={"const": "list"}, data=s.array(ref("OpenAIModel"))),
    ),
    "/v1/models/{id}": {
        "parameters": [_ID],
        "get": _operation(
            "openai_model",
            "A model on disk",
            _OPEN,
            (*_GUARD, 404),
            {_JSON: ref("OpenAIModel")},
        ),
    },
    "/v1/chat/completions": _post(
        "openai_chat",
        "The next message of a conversation",
        _OPEN,
        ref("ChatCompletionRequest"),
        _completion("chat.completion", message=_ANSWER_MESSAGE),
        _EVENTS,
    ),
    "/v1/completions": _post(
        "openai_completion",
        "The continuation of a text, without a template",
        _OPEN,
        ref("CompletionRequest"),
        _completion("text_completion", text=STRING),
        _EVENTS,
    ),
    "/v1/responses": _post(
        "openai_response",
        "An answer; nothing is stored",
        _OPEN,
        ref("ResponsesRequest"),
        _RESPONSE,
        _EVENTS,
    ),
    "/v1/messages": _post(
        "anthropic_message",
        "The next message of a conversation",
        _ANT,
        ref("MessagesRequest"),
        _ANTHROPIC_MESSAGE,
        _EVENTS,
    ),
    "/v1/messages/count_tokens": _post(
        "anthropic_count",
        "The number of tokens of a prompt",
        _ANT,
        ref("CountRequest"),
        exact(input_tokens=COUNT),
    ),
    "/api/chat": _post(
        "ollama_chat",
        "The next message of a conversation",
        _OLL,
        _OLLAMA_CHAT,
        _ollama_answer(message=s.record("role", "content", role=STRING, content=STRING)),
        _LINES,
    ),
    "/api/generate": _post(
        "ollama_generate",
        "The answer to a prompt",
        _OLL,
        _OLLAMA_GENERATE,
        _ollama_answer(response=STRING),
        _LINES,
    ),
    "/api/tags": _get(
        "ollama_tags",
        "The models on disk",
        _OLL,
        exact(models=s.array(exact(modified_at=TIME, **s.OLLAMA_MODEL))),
    ),
    "/api/ps": _get(
        "ollama_ps",
        "The loaded models",
        _OLL,
        exact(
            models=s.array(
                exact(size_vram=COUNT, context_length=COUNT, expires_at=TIME, **s.OLLAMA_MODEL)
            )
        ),
    ),
    "/api/version": _get("ollama_version", "The version", _OLL, exact(version=STRING)),
    "/api/catalog": _get(
        "page_catalog",
        "The short names of models that can be downloaded",
        _OLL,
        exact(models=s.array(_CATALOG_ENTRY)),
    ),
    "/api/show": _post(
        "ollama_show",
        "What is known about a model on disk",
        _OLL,
        _NAME,
        _SHOWN,
        statuses=(*_BODY, 500),
    ),
    "/api/pull": _post(
        "ollama_pull", "Download a model", _OLL, _PULL, exact(status=STRING), _LINES
    ),
    "/api/delete": {
        "delete": _operation(
            "ollama_delete", "Delete a model from disk", _OLL, (*_BODY, 500), {}, _NAME
        )
    },
}


def description() -> dict[str, Any]:
    """The description as data."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "litert-lm-cli",
            "version": litertlm.__version__,
            "description": "On-device models for clients of OpenAI, Ollama and Anthropic.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _PATHS,
        "components": {
            "schemas": s.SCHEMAS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
            },
        },
        # A server without a key needs none.
        "security": [{}, {"bearer": []}, {"header": []}],
    }


async def openapi(http: HttpRequest) -> Response:
    """`GET /openapi.json`."""
    return JSONResponse(description())


ROUTES = [Route("/openapi.json", openapi)]
