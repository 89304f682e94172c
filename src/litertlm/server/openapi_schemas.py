"""JSON Schemas of requests and answers, for the OpenAPI description.

The server ignores fields that it does not know; the schemas name those that it reads.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
COUNT: Schema = {"type": "integer", "minimum": 0}
DURATION: Schema = {**COUNT, "description": "Nanoseconds."}
TIME: Schema = {"type": "string", "format": "date-time"}
BASE64: Schema = {"type": "string", "pattern": "^([A-Za-z0-9+/]{4})+$", "maxLength": 42_000_000}
NULL: Schema = {"type": "null"}
_BIG = 0x7FFFFFFF
# The only fixed values of a field; other strings are answered with status 400.
FUNCTION: Schema = {"const": "function"}


def ref(name: str) -> Schema:
    """A schema among `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(*required: str, **properties: Schema) -> Schema:
    """An object; other properties are allowed."""
    more = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, **more}


def exact(**properties: Schema) -> Schema:
    """An object of an answer that has all of these properties."""
    return record(*properties, **properties)


def array(items: Schema, **limits: int) -> Schema:
    """An array."""
    return {"type": "array", "items": items, **limits}


def optional(schema: Schema) -> Schema:
    """The schema of a field that may be null."""
    return {"anyOf": [schema, NULL]}


def integer(low: int, high: int = _BIG) -> Schema:
    """An integer field that may be null."""
    return optional({"type": "integer", "minimum": low, "maximum": high})


def number(low: float, high: float) -> Schema:
    """A number field that may be null."""
    return optional({"type": "number", "minimum": low, "maximum": high})


def one_of(*values: str) -> Schema:
    """One of some strings."""
    return {"enum": list(values)}


TEXT, FLAG = optional(STRING), optional(BOOLEAN)
STOP = optional({"anyOf": [STRING, array(STRING)]})
MODEL: Schema = {
    "type": "string",
    "minLength": 1,
    "description": "A name of a model on disk.",
    "example": "demo",
}

_TEXT_PART = record("type", "text", type=one_of("text", "input_text", "output_text"), text=STRING)
_DATA_URL: Schema = {"type": "string", "pattern": "^data:image/png;base64,([A-Za-z0-9+/]{4})+$"}
_IMAGE_PART = record("type", "image_url", type=one_of("image_url"), image_url=exact(url=_DATA_URL))
_JSON_TEXT: Schema = {
    "type": "string",
    "contentMediaType": "application/json",
    "pattern": r"^\{\}$|^\{\"[a-z]+\": ?[0-9]+\}$",
    "description": "A JSON object.",
}
_CALL = record(
    "function",
    id=TEXT,
    function=record("name", name=STRING, arguments=optional({"anyOf": [_JSON_TEXT, OBJECT]})),
)
_PARAMETERS = record(properties=OBJECT)
_FUNCTION = record("name", name=STRING, description=TEXT, parameters=optional(_PARAMETERS))
_FORMAT = {
    "oneOf": [
        record("type", type=one_of("text", "json_object")),
        record(
            "type",
            "json_schema",
            type=one_of("json_schema"),
            json_schema=record("schema", schema=ref("JsonSchema")),
        ),
    ]
}
_FLAT_FORMAT = {
    "oneOf": [
        record("type", type=one_of("text", "json_object")),
        record("type", "schema", type=one_of("json_schema"), schema=ref("JsonSchema")),
    ]
}
_TOOL_CHOICE = optional(one_of("auto", "none"))
_BIAS: Schema = {"anyOf": [{"const": 0}, {"type": "number", "maximum": -100}]}

SAMPLING: dict[str, Schema] = {
    "max_tokens": integer(1),
    "max_completion_tokens": integer(1),
    "temperature": number(0, 10),
    "top_p": number(0, 1),
    "top_k": integer(1),
    "seed": optional({"type": "integer"}),
    "stop": STOP,
    "repetition_penalty": number(1, 10),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "logit_bias": optional(
        {
            "type": "object",
            "propertyNames": {"pattern": "^[0-9]{1,9}$"},
            "additionalProperties": _BIAS,
            "description": "-100: the token is never chosen.",
        }
    ),
    "n": optional({"const": 1}),
}
THINKING: dict[str, Schema] = {
    "enable_thinking": FLAG,
    "chat_template_kwargs": optional(record(enable_thinking=FLAG)),
    "reasoning_effort": TEXT,
}
_STREAM: dict[str, Schema] = {
    "stream": FLAG,
    "stream_options": optional(record(include_usage=FLAG)),
}
_SOURCE = record("type", "data", type=one_of("base64"), media_type=TEXT, data=BASE64)
_BLOCK = {
    "oneOf": [
        record("type", "text", type=one_of("text"), text=STRING),
        record("type", "source", type=one_of("image"), source=_SOURCE),
        record(
            *("type", "id", "name"),
            type=one_of("tool_use"),
            id=STRING,
            name=STRING,
            input=optional(OBJECT),
        ),
        record("type", "tool_use_id", type=one_of("tool_result"), tool_use_id=STRING, content=TEXT),
        record("type", type=one_of("thinking", "redacted_thinking")),
    ]
}
_OPTIONS = record(
    num_predict=integer(-2),
    temperature=number(0, 10),
    top_k=integer(0),
    top_p=number(0, 1),
    seed=optional({"type": "integer"}),
    stop=STOP,
    repeat_penalty=number(0, 10),
    presence_penalty=number(-2, 2),
    frequency_penalty=number(-2, 2),
)
_KEEP_ALIVE = optional(
    {
        "anyOf": [
            {"type": "number"},
            {"type": "string", "pattern": "^-?[0-9]{1,6}(ms|s|m|h)$"},
        ]
    }
)
OLLAMA: dict[str, Schema] = {
    "stream": FLAG,
    "options": optional(_OPTIONS),
    "keep_alive": _KEEP_ALIVE,
    "format": optional({"anyOf": [{"const": "json"}, ref("JsonSchema")]}),
    "think": optional({"anyOf": [BOOLEAN, one_of("low", "medium", "high")]}),
}
OLLAMA_END: dict[str, Schema] = {
    "total_duration": DURATION,
    "load_duration": DURATION,
    "prompt_eval_count": COUNT,
    "prompt_eval_duration": DURATION,
    "eval_count": COUNT,
    "eval_duration": DURATION,
    "dropped_messages": COUNT,
}
_DETAILS = exact(
    parent_model=STRING,
    format=STRING,
    family=STRING,
    families=array(STRING),
    parameter_size=STRING,
    quantization_level=STRING,
)
OLLAMA_MODEL: dict[str, Schema] = {
    "name": STRING,
    "model": STRING,
    "size": COUNT,
    "digest": STRING,
    "details": _DETAILS,
}

SCHEMAS: dict[str, Schema] = {
    "JsonSchema": {
        "type": "object",
        "description": "A JSON Schema.",
        "properties": {"type": one_of("object", "string", "integer", "boolean")},
        "additionalProperties": False,
    },
    "OpenAIError": exact(error=exact(message=STRING, type=STRING, param=TEXT, code=TEXT)),
    "AnthropicError": exact(type={"const": "error"}, error=exact(type=STRING, message=STRING)),
    "OllamaError": exact(error=STRING),
    "OpenAIModel": exact(id=STRING, object={"const": "model"}, created=COUNT, owned_by=STRING),
    "Message": record(
        "role",
        role=one_of("system", "developer", "user", "assistant", "tool", "function"),
        content=optional(
            {"anyOf": [STRING, array({"oneOf": [_TEXT_PART, _IMAGE_PART]}, maxItems=3)]}
        ),
        name=TEXT,
        tool_call_id=TEXT,
        reasoning_content=TEXT,
        tool_calls=optional(array(_CALL, maxItems=2)),
    ),
    "ChatCompletionRequest": record(
        *("model", "messages"),
        model=MODEL,
        messages=array(ref("Message"), minItems=1),
        **SAMPLING,
        **THINKING,
        **_STREAM,
        tools=optional(
            array(record("function", type=optional(FUNCTION), function=_FUNCTION), maxItems=3)
        ),
        tool_choice=_TOOL_CHOICE,
        response_format=optional(_FORMAT),
    ),
    "CompletionRequest": record(
        *("model", "prompt"),
        model=MODEL,
        prompt={"type": "string", "minLength": 1},
        **SAMPLING,
        **_STREAM,
    ),
    "ResponsesRequest": record(
        *("model", "input"),
        model=MODEL,
        input={"anyOf": [STRING, array(ref("Message"), minItems=1)]},
        instructions=TEXT,
        metadata=optional(OBJECT),
        max_output_tokens=integer(1),
        reasoning=optional(record(effort=TEXT)),
        text=optional(record(format=optional(_FLAT_FORMAT))),
        tools=optional(
            array(
                record(
                    "name",
                    type=optional(FUNCTION),
                    name=STRING,
                    description=TEXT,
                    parameters=_PARAMETERS,
                ),
                maxItems=3,
            )
        ),
        tool_choice=_TOOL_CHOICE,
        stream=FLAG,
        **SAMPLING,
        **THINKING,
    ),
    "AnthropicMessage": record(
        *("role", "content"),
        role=one_of("user", "assistant"),
        content={"anyOf": [STRING, array(_BLOCK, maxItems=3)]},
    ),
    "CountRequest": record(
        *("model", "messages"),
        model=MODEL,
        messages=array(ref("AnthropicMessage"), minItems=1),
        system=optional({"anyOf": [STRING, array(_TEXT_PART, maxItems=2)]}),
        tools=optional(
            array(
                record("name", name=STRING, description=TEXT, input_schema=optional(_PARAMETERS)),
                maxItems=3,
            )
        ),
    ),
    "MessagesRequest": {
        "allOf": [
            ref("CountRequest"),
            record(
                "max_tokens",
                max_tokens={"type": "integer", "minimum": 1, "maximum": _BIG},
                temperature=number(0, 10),
                top_p=number(0, 1),
                top_k=integer(1),
                stop_sequences=STOP,
                thinking=optional(record("type", type=STRING)),
                stream=FLAG,
            ),
        ]
    },
    "OllamaMessage": record(
        "role",
        role=one_of("system", "user", "assistant", "tool"),
        content=TEXT,
        thinking=TEXT,
        tool_name=TEXT,
        name=TEXT,
        images=optional(array(BASE64, maxItems=2)),
        tool_calls=optional(
            array(
                record("function", function=record("name", name=STRING, arguments=OBJECT)),
                maxItems=2,
            )
        ),
    ),
    "OllamaModelName": {
        "type": "object",
        "properties": {"model": TEXT, "name": TEXT},
        "anyOf": [record("model", model=MODEL), record("name", name=MODEL)],
    },
}
