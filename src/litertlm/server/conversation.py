"""Messages, tools and formats of OpenAI's form, as the services take them.

The other interfaces are translated into this form first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from litertlm.server.body import Body, image_data
from litertlm.server.errors import ApiError

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_ANY_OBJECT = '{"type": "object"}'
_DATA_URL = "data:"
_TOKEN_ID = re.compile("[0-9]{1,9}")


def read_messages(body: Body, name: str = "messages") -> tuple[Mapping[str, Any], ...]:
    """The messages of a request.

    Raises:
        ApiError: names the field.
    """
    messages = tuple(_message(message) for message in body.objects(name))
    if not messages:
        raise body.error(name, "must have at least one message")
    return messages


def _message(body: Body) -> dict[str, Any]:
    role = body.need("role", str)
    if role not in _ROLES:
        raise body.error("role", f"must be one of {', '.join(sorted(_ROLES))}")
    text, images = _content(body)
    message: dict[str, Any] = {
        "role": {"developer": "system", "function": "tool"}.get(role, role),
        "content": text,
    }
    if images:
        message["images"] = images
    for key in ("name", "tool_call_id", "reasoning_content"):
        if value := body.get(key, str):
            message[key] = value
    if calls := body.objects("tool_calls"):
        message["tool_calls"] = [_call(call) for call in calls]
    return message


def _content(body: Body) -> tuple[str, list[str]]:
    """The text and the images of a message."""
    content = body.values.get("content")
    if content is None or isinstance(content, str):
        return content or "", []
    texts, images = [], []
    for part in body.objects("content"):
        kind = part.need("type", str)
        if kind in {"text", "input_text", "output_text"}:
            texts.append(part.need("text", str))
        elif kind in {"image_url", "input_image"}:
            images.append(_image(part))
        elif kind == "refusal":
            texts.append(part.get("refusal", str, ""))
        else:
            raise part.error("type", "must be text or image_url")
    return "\n".join(texts), images


def _image(part: Body) -> str:
    inner = part.inner("image_url") if isinstance(part.values.get("image_url"), dict) else None
    url = inner.need("url", str) if inner else part.need("image_url", str)
    head, comma, data = url.partition(",")
    if not head.startswith(_DATA_URL) or not comma or not head.endswith(";base64"):
        raise part.error(
            "image_url", "must be a data URL in base64: this server opens no files and addresses"
        )
    return image_data(data, part, "image_url")


def _call(body: Body) -> dict[str, Any]:
    function = body.inner("function")
    if function is None:
        raise body.error("function", "is required")
    given = function.values.get("arguments", {})
    try:
        arguments = json.loads(given) if isinstance(given, str) and given else given or {}
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise function.error("arguments", "must be a JSON object")
    call = {"type": "function", "function": {"name": function.need("name", str)}}
    call["function"]["arguments"] = arguments  # type: ignore[index]
    return {"id": body.get("id", str, "call00000"), **call}


def read_tools(
    body: Body, options: dict[str, Any], *, flat: bool = False
) -> tuple[Mapping[str, Any], ...]:
    """The functions that the model may call.

    Args:
        options: of the answer; a call that `tool_choice` forces is added as a schema.
        flat: the form of `/v1/responses`, without an inner object.

    Raises:
        ApiError: names the field.
    """
    tools = []
    for tool in body.objects("tools"):
        if tool.get("type", str, "function") != "function":
            raise tool.error("type", "must be function")
        function = tool if flat else tool.inner("function")
        if function is None:
            raise tool.error("function", "is required")
        tools.append(
            function_tool(
                function.need("name", str),
                function.get("description", str, ""),
                function.get("parameters", dict, {}),
            )
        )
    choice = body.values.get("tool_choice")
    if choice == "none":
        return ()
    if choice == "required":
        force_call(tools, None, options, body)
    elif isinstance(choice, dict):
        chosen = Body(choice, "tool_choice.")
        inner = chosen if flat else chosen.inner("function") or chosen
        force_call(tools, inner.need("name", str), options, body)
    elif choice not in (None, "auto"):
        raise body.error("tool_choice", "must be auto, none, required or a function")
    return tuple(tools)


def force_call(
    tools: Sequence[Mapping[str, Any]], name: str | None, options: dict[str, Any], body: Body
) -> None:
    """Make the answer a call, by a JSON Schema in `options`.

    Args:
        name: of the function; None for any.

    Raises:
        ApiError: there is no such function, or the answer has a schema already.
    """
    functions = [tool["function"] for tool in tools]
    chosen = [f for f in functions if name in (None, f["name"])]
    if not chosen:
        raise body.error("tool_choice", "must name one of the tools")
    if "schema" in options:
        raise body.error("tool_choice", "and a JSON Schema for the answer are mutually exclusive")
    forms = [
        {
            "type": "object",
            "properties": {"name": {"const": f["name"]}, "arguments": f["parameters"]},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for f in chosen
    ]
    options["schema"] = json.dumps(forms[0] if len(forms) == 1 else {"anyOf": forms})


def function_tool(name: str, description: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a function in the form of chat templates."""
    whole = {"type": "object", "properties": {}, **parameters}
    if not isinstance(whole["properties"], dict):
        raise ApiError(400, f"The properties of {name} must be an object.", param="tools")
    function = {"name": name, "description": description, "parameters": whole}
    return {"type": "function", "function": function}


def read_schema(body: Body | None) -> str | None:
    """The JSON Schema of a `response_format`, or of `text.format` of `/v1/responses`.

    Raises:
        ApiError: names the field.
    """
    if body is None:
        return None
    kind = body.need("type", str)
    if kind == "text":
        return None
    if kind == "json_object":
        return _ANY_OBJECT
    if kind != "json_schema":
        raise body.error("type", "must be text, json_object or json_schema")
    schema = (body.inner("json_schema") or body).need("schema", dict)
    return json.dumps(schema)


def sampling_options(body: Body) -> dict[str, Any]:
    """Options that OpenAI's endpoints share, by the names of `RunOptions`.

    Raises:
        ApiError: names the field.
    """
    limits = [body.integer(n, 1) for n in ("max_completion_tokens", "max_tokens")]
    seed = body.get("seed", int)
    options = {
        "max_tokens": next((limit for limit in limits if limit is not None), None),
        "temperature": body.number("temperature", 0, 10),
        "top_p": body.number("top_p", 0, 1) or None,
        "top_k": body.integer("top_k", 1),
        "seed": None if seed is None else seed & 0x7FFFFFFF,
        "stop": body.texts("stop"),
        "repetition_penalty": body.number("repetition_penalty", 1, 10),
        "presence_penalty": body.number("presence_penalty", -2, 2) or None,
        "frequency_penalty": body.number("frequency_penalty", -2, 2) or None,
        "suppressed": _suppressed(body),
    }
    if body.get("n", int, 1) != 1:
        raise body.error("n", "must be 1")
    return {name: value for name, value in options.items() if value not in (None, ())}


def _suppressed(body: Body) -> tuple[int, ...]:
    tokens = []
    for token, bias in body.get("logit_bias", dict, {}).items():
        if not _TOKEN_ID.fullmatch(token):
            raise body.error("logit_bias", "must have token ids as names")
        if type(bias) not in (int, float) or (bias != 0 and bias > -100):
            raise body.error("logit_bias", "must be -100 (never choose the token) or 0")
        if bias != 0:
            tokens.append(int(token))
    return tuple(sorted(tokens))


def think_option(body: Body) -> bool | None:
    """Whether the model shall think: `enable_thinking`, also in `chat_template_kwargs`, or
    `reasoning_effort`; None to leave it to the model.

    Raises:
        ApiError: names the field.
    """
    arguments = body.inner("chat_template_kwargs")
    for part in (body, arguments):
        if part is not None and (chosen := part.get("enable_thinking", bool)) is not None:
            return bool(chosen)
    reasoning = body.inner("reasoning")
    effort = body.get("reasoning_effort", str) or (reasoning and reasoning.get("effort", str))
    return None if effort is None else effort not in {"none", "minimal"}
