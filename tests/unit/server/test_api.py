"""The interfaces with a worker that is scripted: what they pass on, and the form of answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fake_worker import HELLO, FakeWorkers, models_folder
from litertlm.server.app import create_app
from litertlm.server.guard import Guard
from litertlm.server.metrics import Metrics
from litertlm.server.state import State
from litertlm.services.serve import Catalog, Failed, Finished, Manager, ServeOptions, TextPiece

ASK = [{"role": "user", "content": "Hi"}]
CALL = {"name": "weather", "arguments": {"city": "Rome"}}
CALLS = [Finished("tool_calls", 10, 0, 3, 0.1, 0.2, calls=(CALL,))]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
Send = Callable[..., httpx2.Response]


class Served:
    """An application with one model, `org/one`."""

    def __init__(self, home: Path, guard: Guard | None = None) -> None:
        self.workers = FakeWorkers(list(HELLO))
        self.home = home
        store, settings = models_folder(home, "org/one")
        self.guard = guard or Guard("127.0.0.1")
        self.catalog = Catalog(store, settings)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        metrics: Metrics | None = None,
        **headers: str,
    ) -> httpx2.Response:
        """One request in an event loop of its own."""

        async def work() -> httpx2.Response:
            manager = Manager(ServeOptions(), start=self.workers)
            state = State(self.catalog, manager, self.guard, clock=lambda: 1e9)
            state.metrics = metrics or state.metrics
            transport = httpx2.ASGITransport(create_app(state), client=("127.0.0.1", 1))
            async with httpx2.AsyncClient(
                transport=transport, base_url="http://127.0.0.1"
            ) as client:
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                answer = await client.request(
                    method, path, content=None if body is None else content, headers=headers
                )
            await manager.close()
            return answer

        return asyncio.run(work())

    def post(self, path: str, **body: Any) -> httpx2.Response:
        return self.send("POST", path, {"model": "org/one", **body})


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path)


def events(answer: httpx2.Response) -> list[Any]:
    """The data of server-sent events."""
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def test_a_chat_completion(served: Served) -> None:
    answer = served.post("/v1/chat/completions", messages=ASK)
    assert answer.status_code == 200, answer.text
    fields = answer.json()
    assert fields["choices"][0]["message"]["content"] == "Hello"
    assert fields["choices"][0]["finish_reason"] == "stop"
    assert fields["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 3,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 4},
    }


def test_a_streamed_chat_completion(served: Served) -> None:
    answer = served.post(
        "/v1/chat/completions",
        messages=ASK,
        stream=True,
        stream_options={"include_usage": True},
    )
    *chunks, usage, done = events(answer)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas == [{"role": "assistant", "content": "Hel"}, {"content": "lo"}, {}]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert usage["usage"]["completion_tokens"] == 3
    assert done == "[DONE]"


def test_options_reach_the_worker(served: Served) -> None:
    served.post(
        "/v1/chat/completions",
        messages=ASK,
        temperature=0,
        top_p=0.5,
        max_completion_tokens=7,
        stop=["a", "b"],
        seed=3,
        presence_penalty=0.5,
        logit_bias={"12": -100},
        reasoning_effort="none",
        response_format={"type": "json_object"},
    )
    (request,) = served.workers.requests
    assert request.options == {
        "temperature": 0.0,
        "top_p": 0.5,
        "max_tokens": 7,
        "stop": ("a", "b"),
        "seed": 3,
        "presence_penalty": 0.5,
        "suppressed": (12,),
        "think": False,
        "schema": '{"type": "object"}',
    }


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": "x"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "x", "content": ""}]}, "messages[0].role"),
        ({"messages": ASK, "temperature": "hot"}, "temperature"),
        ({"messages": ASK, "temperature": -1}, "temperature"),
        ({"messages": ASK, "n": 2}, "n"),
        ({"messages": ASK, "logprobs": True}, "logprobs"),
        ({"messages": ASK, "logit_bias": {"1": 5}}, "logit_bias"),
        ({"messages": ASK, "tools": TOOLS, "tool_choice": "sometimes"}, "tool_choice"),
        ({"messages": ASK, "tool_choice": "required"}, "tool_choice"),
        ({"messages": ASK, "response_format": {"type": "xml"}}, "response_format.type"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}
                        ],
                    }
                ]
            },
            "messages[0].content[0].image_url",
        ),
    ],
)
def test_a_wrong_field_is_named(served: Served, body: dict[str, Any], param: str) -> None:
    answer = served.post("/v1/chat/completions", **body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    assert served.workers.requests == []


def test_images_in_messages(served: Served) -> None:
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
    ]
    served.post("/v1/chat/completions", messages=[{"role": "user", "content": content}])
    (message,) = served.workers.requests[0].messages
    assert message == {"role": "user", "content": "What is this?", "images": ["aGk="]}


def test_calls_in_openais_form(served: Served) -> None:
    served.workers.events = list(CALLS)
    answer = served.post("/v1/chat/completions", messages=ASK, tools=TOOLS)
    choice = answer.json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    function = choice["message"]["tool_calls"][0]["function"]
    assert function == {"name": "weather", "arguments": '{"city": "Rome"}'}
    history = [*ASK, choice["message"], {"role": "tool", "tool_call_id": "1", "content": "sunny"}]
    served.post("/v1/chat/completions", messages=history, tools=TOOLS)
    asked = served.workers.requests[1].messages
    assert asked[1]["tool_calls"][0]["function"] == CALL
    assert served.workers.requests[1].tools[0]["function"]["name"] == "weather"


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "weather"}}]
)
def test_a_forced_call_is_a_schema(served: Served, choice: Any) -> None:
    served.post("/v1/chat/completions", messages=ASK, tools=TOOLS, tool_choice=choice)
    schema = json.loads(served.workers.requests[0].options["schema"])
    assert schema["properties"]["name"] == {"const": "weather"}
    assert schema["required"] == ["name", "arguments"]


def test_anthropics_forced_call_is_a_schema(served: Served) -> None:
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in ("a", "b")]
    choice = {"type": "any"}
    served.post("/v1/messages", messages=ASK, max_tokens=9, tools=tools, tool_choice=choice)
    schema = json.loads(served.workers.requests[0].options["schema"])
    assert len(schema["anyOf"]) == 2


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_an_unknown_model_is_404(served: Served, path: str) -> None:
    answer = served.post(path, model="no/such", messages=ASK, input="Hi", max_tokens=1)
    assert answer.status_code == 404


@pytest.mark.parametrize("name", ["../one", "/etc/passwd", "org/../org/one", "~/x", "a\0b", "."])
def test_a_name_is_never_a_path(served: Served, name: str) -> None:
    assert served.post("/v1/chat/completions", model=name, messages=ASK).status_code == 404
    assert served.send("POST", "/api/pull", {"model": name, "stream": False}).status_code == 400
    streamed = served.send("POST", "/api/pull", {"model": name}).text.splitlines()
    assert "Not a model name" in json.loads(streamed[-1])["error"]


@pytest.mark.parametrize("name", ["org/one", "one", "ORG/One", "org/one:latest", "one:latest"])
def test_names_of_a_model(served: Served, name: str) -> None:
    assert served.post("/api/chat", model=name, messages=ASK).status_code == 200


def test_ollamas_chat(served: Served) -> None:
    answer = served.post("/api/chat", messages=ASK, options={"num_predict": 5}, keep_alive="1m")
    *pieces, end = map(json.loads, answer.text.splitlines())
    assert [piece["message"]["content"] for piece in pieces] == ["Hel", "lo"]
    assert end["done"]
    assert (end["done_reason"], end["prompt_eval_count"], end["eval_count"]) == ("stop", 10, 3)
    assert served.workers.requests[0].options == {"max_tokens": 5}


def test_ollamas_generate(served: Served) -> None:
    answer = served.post("/api/generate", prompt="Hi", system="Be kind", stream=False)
    assert answer.json()["response"] == "Hello"
    assert [m["role"] for m in served.workers.requests[0].messages] == ["system", "user"]


def test_ollamas_generate_without_a_prompt_loads(served: Served) -> None:
    answer = served.post("/api/generate").json()
    assert (answer["done_reason"], served.workers.requests) == ("load", [])


def test_thinking_is_apart(served: Served) -> None:
    served.workers.events = [TextPiece("thinking", "hm"), *HELLO]
    message = served.post("/v1/chat/completions", messages=ASK).json()["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("Hello", "hm")
    answer = served.post("/api/chat", messages=ASK, stream=False).json()
    assert answer["message"]["thinking"] == "hm"
    content = served.post("/v1/messages", messages=ASK, max_tokens=9).json()["content"]
    assert [block["type"] for block in content] == ["thinking", "text"]


def test_anthropics_stream(served: Served) -> None:
    answer = served.post("/v1/messages", messages=ASK, max_tokens=9, stream=True)
    kinds = [event["type"] for event in events(answer)]
    assert kinds == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_anthropics_tools(served: Served) -> None:
    served.workers.events = list(CALLS)
    tools = [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}]
    answer = served.post("/v1/messages", messages=ASK, max_tokens=9, tools=tools).json()
    (block,) = answer["content"]
    assert answer["stop_reason"] == "tool_use"
    assert (block["name"], block["input"]) == ("weather", {"city": "Rome"})
    result = {"type": "tool_result", "tool_use_id": block["id"], "content": "sunny"}
    history = [
        *ASK,
        {"role": "assistant", "content": [block]},
        {"role": "user", "content": [result]},
    ]
    served.post("/v1/messages", messages=history, max_tokens=9, tools=tools)
    roles = [message["role"] for message in served.workers.requests[1].messages]
    assert roles == ["user", "assistant", "tool"]


def test_responses(served: Served) -> None:
    answer = served.post("/v1/responses", input="Hi", instructions="Be kind").json()
    assert answer["output"][0]["content"][0]["text"] == "Hello"
    assert answer["usage"]["input_tokens_details"] == {"cached_tokens": 4}
    streamed = events(served.post("/v1/responses", input=ASK, stream=True))
    assert streamed[0]["type"] == "response.created"
    assert streamed[-1]["type"] == "response.completed"
    assert streamed[-1]["response"]["output"][0]["content"][0]["text"] == "Hello"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("UsageError", 400, "invalid_request"),
        ("NotEnoughResources", 503, "not_enough_resources"),
        ("WorkerCrashed", 500, "worker_crashed"),
    ],
)
def test_errors_of_workers(served: Served, kind: str, status: int, code: str) -> None:
    served.workers.events = [Failed(kind, "It failed.")]
    for stream in (False, True):
        answer = served.post("/v1/chat/completions", messages=ASK, stream=stream)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert served.post("/api/chat", messages=ASK).json() == {"error": "It failed."}
    anthropic = served.post("/v1/messages", messages=ASK, max_tokens=1).json()
    assert anthropic["type"] == "error"


def test_a_full_queue_is_429(served: Served) -> None:
    async def work() -> None:
        served.workers.gate = asyncio.Event()
        manager = Manager(ServeOptions(max_queue=0), start=served.workers)
        transport = httpx2.ASGITransport(create_app(State(served.catalog, manager, served.guard)))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            body = {"model": "org/one", "messages": ASK}
            path = "/v1/chat/completions"
            first = asyncio.ensure_future(client.post(path, json=body))
            while not served.workers.requests:
                await asyncio.sleep(0)
            refused = await client.post(path, json=body)
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) > 0
            assert refused.json()["error"]["code"] == "rate_limit_exceeded"
            served.workers.gate.set()
            assert (await first).status_code == 200

    asyncio.run(work())


def test_an_error_in_the_middle_of_a_stream_is_its_last_event(served: Served) -> None:
    served.workers.events = [TextPiece("text", "a"), Failed("WorkerCrashed", "It failed.")]
    streamed = events(served.post("/v1/chat/completions", messages=ASK, stream=True))
    assert streamed[-1]["error"]["message"] == "It failed."


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b'{"model": "\\ud800"}',
        b'{"model": NaN}',
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b"[" * 100_000,
    ],
)
def test_bodies_that_are_not_json(served: Served, body: bytes) -> None:
    for path in ("/v1/chat/completions", "/api/chat", "/v1/messages", "/v1/responses"):
        assert served.send("POST", path, body).status_code == 400


def test_a_body_that_is_too_large(served: Served) -> None:
    answer = served.send("POST", "/api/chat", b" ", **{"content-length": str(1 << 40)})
    assert answer.status_code == 413


def test_unknown_paths_and_methods(served: Served) -> None:
    assert served.send("GET", "/v1/nothing").json()["error"]["code"] == "not_found"
    assert served.send("GET", "/v1/chat/completions").status_code == 405


def test_deleting_a_model(served: Served) -> None:
    assert served.send("DELETE", "/api/delete", {"model": "org/one"}).status_code == 200
    assert not (served.home / "models" / "org" / "one").exists()
    assert served.send("DELETE", "/api/delete", {"model": "org/one"}).status_code == 404


def test_models_are_changed_from_this_machine_only(tmp_path: Path) -> None:
    served = Served(tmp_path, Guard("0.0.0.0"))
    served.guard = Guard("0.0.0.0")

    async def work() -> int:
        state = State(served.catalog, Manager(ServeOptions(), start=served.workers), served.guard)
        transport = httpx2.ASGITransport(create_app(state), client=("192.168.1.9", 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://10.0.0.1") as client:
            body = json.dumps({"model": "org/one"}).encode()
            answer = await client.request("DELETE", "/api/delete", content=body)
            return answer.status_code

    assert asyncio.run(work()) == 403
    assert (tmp_path / "models" / "org" / "one").exists()


def test_cors(tmp_path: Path) -> None:
    served = Served(tmp_path, Guard("127.0.0.1", "k", frozenset({"https://app.example"})))
    headers = {"origin": "https://app.example"}
    allowed = served.send("OPTIONS", "/v1/models", **headers)
    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    listed = served.send("GET", "/v1/models", authorization="Bearer k", **headers)
    assert listed.headers["access-control-allow-origin"] == "https://app.example"
    other = served.send("OPTIONS", "/v1/models", origin="https://evil.com")
    assert (other.status_code, "access-control-allow-origin" in other.headers) == (403, False)


@pytest.mark.parametrize("given", ["soon", "nan", "1e999", [], {}, True, "5x"])
def test_keep_alives_that_are_none(served: Served, given: Any) -> None:
    assert served.post("/api/chat", messages=ASK, keep_alive=given).status_code == 400


@pytest.mark.parametrize("given", ["5m", 60, 1.5, -1, "-1", "1h30m", 10**400 // 10**390, 1e300])
def test_keep_alives(served: Served, given: Any) -> None:
    assert served.post("/api/chat", messages=ASK, keep_alive=given).status_code == 200


def test_metrics_have_few_paths(served: Served) -> None:
    served.guard = Guard("127.0.0.1", "k")
    metrics = Metrics()
    for path in ("/api/x", "/v1/y", "/z", "/v1/models/a", "/v1/models/b"):
        served.send("GET", path, metrics=metrics)
    assert set(metrics.requests) == {("other", 401), ("/v1/models/{id}", 401)}


def test_metrics_and_health(served: Served) -> None:
    assert served.send("GET", "/health").json() == {"status": "ok"}
    assert "litertlm_queue_length 0" in served.send("GET", "/metrics").text
    assert served.send("GET", "/").text == "Ollama is running"
    browser = served.send("GET", "/", accept="text/html,application/xhtml+xml")
    assert "<!doctype html>" in browser.text
    script = served.send("GET", "/page/app.js")
    for answer in (browser, script):
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert script.headers["content-type"].startswith("text/javascript")
    assert served.send("GET", "/page/../app.py").status_code == 404
