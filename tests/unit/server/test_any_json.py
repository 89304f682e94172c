"""No JSON makes the server fail: every answer is a result or an error of the client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unit.server.test_api import ASK, Served

FIELDS = (
    *("messages", "input", "prompt", "system", "tools", "tool_choice", "stream", "stop", "format"),
    *("temperature", "top_p", "top_k", "seed", "max_tokens", "n", "options", "keep_alive"),
    *("response_format", "stream_options", "logit_bias", "think", "thinking", "images", "text"),
    *("reasoning_effort", "presence_penalty", "content", "role", "type", "function", "name"),
    *("parameters", "tool_calls", "arguments", "image_url", "url", "schema", "source", "data"),
)
TEXTS = st.sampled_from(
    ("", "user", "assistant", "tool", "text", "function", "json_schema", "image_url", "tool_use")
) | st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | TEXTS, inner, max_size=4)
    ),
    max_leaves=12,
)
BODIES = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6)
NEEDED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": ASK},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"messages": ASK, "max_tokens": 9},
    "/api/chat": {"messages": ASK},
    "/api/generate": {"prompt": "Hi"},
}


@pytest.mark.parametrize("path", NEEDED)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES)
def test_any_body(path: str, body: dict[str, Any], tmp_path_factory: Any) -> None:
    home: Path = tmp_path_factory.mktemp("any")
    answer = Served(home).post(path, **{**NEEDED[path], **body})
    assert answer.status_code < 500, answer.text
