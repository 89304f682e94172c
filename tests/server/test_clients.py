"""The official clients of OpenAI, Ollama and Anthropic, with the demo model."""

from __future__ import annotations

import json

import anthropic
import httpx2
import ollama
import openai
import pytest

QUESTION = "What is the capital of France?"
ASK = [{"role": "user", "content": QUESTION}]
ANSWER = "The capital of France is Paris."
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture
def client(server_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server_url}/v1", api_key="unused", max_retries=0)


def test_openai_lists_models(client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert client.models.retrieve(model.id).id == model.id == "demo/smollm2-135m-instruct"


def test_openai_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="demo", messages=ASK, temperature=0)  # type: ignore[arg-type]
    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason) == (ANSWER, "stop")
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 7


def test_openai_reuses_the_cache_of_a_conversation(client: openai.OpenAI) -> None:
    history = [
        {"role": "system", "content": "You answer questions about geography. " * 10},
        *ASK,
    ]
    first = client.chat.completions.create(model="demo", messages=history, temperature=0)  # type: ignore[arg-type]
    history += [
        {"role": "assistant", "content": first.choices[0].message.content},
        {"role": "user", "content": "And of Italy?"},
    ]
    second = client.chat.completions.create(model="demo", messages=history, temperature=0)  # type: ignore[arg-type]
    changed = [*history[:-1], {"role": "user", "content": "And of Spain?"}]
    third = client.chat.completions.create(model="demo", messages=changed, temperature=0)  # type: ignore[arg-type]
    assert first.usage is not None
    for later in (second, third):
        assert later.usage is not None
        assert later.usage.prompt_tokens_details is not None
        cached = later.usage.prompt_tokens_details.cached_tokens
        assert cached is not None
        # All of the first prompt but its end, where the answer began.
        assert cached >= first.usage.prompt_tokens - 8


def test_openai_stream(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="demo",
            messages=ASK,  # type: ignore[arg-type]
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == ANSWER
    assert chunks[-1].usage is not None


def test_openai_stop_and_limit(client: openai.OpenAI) -> None:
    stopped = client.chat.completions.create(
        model="demo",
        messages=ASK,  # type: ignore[arg-type]
        temperature=0,
        stop=["Paris"],
    )
    assert stopped.choices[0].message.content == "The capital of France is "
    assert stopped.choices[0].finish_reason == "stop"
    short = client.chat.completions.create(
        model="demo",
        messages=ASK,  # type: ignore[arg-type]
        temperature=0,
        max_completion_tokens=3,
    )
    assert short.choices[0].message.content == "The capital of"
    assert short.choices[0].finish_reason == "length"


def test_openai_seed(client: openai.OpenAI) -> None:
    answers = {
        client.chat.completions.create(
            model="demo",
            messages=[{"role": "user", "content": "Tell a story"}],
            temperature=1.5,
            seed=7,
            max_tokens=20,
        )
        .choices[0]
        .message.content
        for _ in range(2)
    }
    assert len(answers) == 1


def test_openai_json_schema(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": "A person as JSON"}],
        temperature=0,
        max_tokens=80,
        response_format={"type": "json_schema", "json_schema": {"name": "p", "schema": PERSON}},
    )
    person = json.loads(answer.choices[0].message.content or "")
    assert sorted(person) == ["age", "name"]


def test_openai_forced_call(client: openai.OpenAI) -> None:
    parameters = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": "What is the weather in Rome?"}],
        temperature=0,
        max_tokens=60,
        tools=[{"type": "function", "function": {"name": "weather", "parameters": parameters}}],
        tool_choice="required",
    )
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert call.function.name == "weather"
    assert list(json.loads(call.function.arguments)) == ["city"]


def test_openai_tools_of_a_model_without_them(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="does not support tools"):
        client.chat.completions.create(
            model="demo",
            messages=ASK,  # type: ignore[arg-type]
            tools=[{"type": "function", "function": {"name": "weather", "parameters": {}}}],
        )


def test_openai_completion(client: openai.OpenAI) -> None:
    answer = client.completions.create(
        model="demo", prompt="The capital of France is", max_tokens=5, temperature=0
    )
    assert "Paris" in answer.choices[0].text


def test_openai_response(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="demo", input=QUESTION, temperature=0)
    assert answer.output_text == ANSWER
    with client.responses.stream(model="demo", input=QUESTION, temperature=0) as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_response().output_text == ANSWER
    assert kinds[0] == "response.created"


def test_openai_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no/such"):
        client.chat.completions.create(model="no/such", messages=ASK)  # type: ignore[arg-type]
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model="demo", messages=ASK, temperature=99)  # type: ignore[arg-type]
    long = [{"role": "user", "content": "word " * 3000}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="demo", messages=long)  # type: ignore[arg-type]
    assert caught.value.code == "context_length_exceeded"


def test_an_abandoned_stream_does_not_stop_others(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": "Count to one thousand"}],
        stream=True,
    )
    next(iter(stream))
    stream.close()
    answer = client.chat.completions.create(model="demo", messages=ASK, temperature=0)  # type: ignore[arg-type]
    assert answer.choices[0].message.content == ANSWER


def test_ollama(server_url: str) -> None:
    client = ollama.Client(host=server_url)
    (model,) = client.list().models
    assert model.model == "demo/smollm2-135m-instruct:latest"
    assert client.show("demo").details is not None
    options = {"temperature": 0}
    answer = client.chat(model="demo", messages=ASK, options=options)
    assert answer.message.content == ANSWER
    assert (answer.done_reason, answer.eval_count) == ("stop", 7)
    parts = list(client.chat(model="demo", messages=ASK, options=options, stream=True))
    assert "".join(part.message.content or "" for part in parts) == ANSWER
    generated = client.generate(model="demo", prompt=QUESTION, options=options)
    assert generated.response == ANSWER
    made = client.chat(model="demo", messages=ASK, options=options, format=PERSON)
    assert sorted(json.loads(made.message.content or "")) == ["age", "name"]
    (loaded,) = client.ps().models
    assert loaded.model == model.model
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat(model="no/such", messages=ASK)
    assert caught.value.status_code == 404


def test_ollama_says_what_was_left_out(server_url: str) -> None:
    long = [{"role": "user", "content": "word " * 1300}, {"role": "assistant", "content": "Yes."}]
    body = {"model": "demo", "messages": [*long, *ASK], "options": {"num_predict": 3}}
    answer = httpx2.post(f"{server_url}/api/chat", json={**body, "stream": False}, timeout=300)
    assert answer.json()["dropped_messages"] == 2
    body["messages"] = ASK
    last = httpx2.post(f"{server_url}/api/chat", json=body, timeout=300).text.splitlines()[-1]
    assert "dropped_messages" not in last


def test_anthropic(server_url: str) -> None:
    client = anthropic.Anthropic(base_url=server_url, api_key="unused", max_retries=0)
    answer = client.messages.create(
        model="demo", max_tokens=50, messages=ASK, extra_body={"temperature": 0}
    )  # type: ignore[arg-type]
    (block,) = answer.content
    assert block.type == "text"
    assert (block.text, answer.stop_reason) == (ANSWER, "end_turn")
    with client.messages.stream(
        model="demo",
        max_tokens=50,
        messages=ASK,  # type: ignore[arg-type]
        extra_body={"temperature": 0},
    ) as stream:
        assert "".join(stream.text_stream) == ANSWER
        assert stream.get_final_message().stop_reason == "end_turn"
    counted = client.messages.count_tokens(model="demo", messages=ASK)  # type: ignore[arg-type]
    assert counted.input_tokens == (
        answer.usage.input_tokens + (answer.usage.cache_read_input_tokens or 0)
    )
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="no/such", max_tokens=5, messages=ASK)  # type: ignore[arg-type]
