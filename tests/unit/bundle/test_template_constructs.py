"""Constructs of Jinja2 and Python in templates are translated for minijinja, or an error."""

from __future__ import annotations

import pytest

from litertlm.bundle.adapted_template import SourceTemplate
from litertlm.bundle.template_adapter import adapt

TOKENS = {"eos_token": "<|end|>"}

_BODIES = [
    "{{ content.split('a')[-1] }}",
    "{{ content.rsplit('a', 1)[-1] }}",
    "{{ content.rsplit('e', 2)|join('+') }}",
    "{{ content.partition('an')|join('+') }}{{ content.rpartition('an')|join('+') }}",
    "{{ content.removeprefix('Hel') }}{{ content.removesuffix('you?') }}",
    "{{ content.find('a') }}{{ content.count('a') }}{{ content }}",
    "{{ content.replace('a', 'b', 1) }}{{ content|replace('e', 'f', 1) }}",
    "{{ content.strip('\\n') }}{{ content.upper() }}",
    "{{ '%s: %s %%' % (message.role, content) }}",
    "{{ '{}: {text} {{}}'.format(message.role, text=content) }}",
    "{{ content|e }}",
    "{% set text | trim | upper %}{{ content }}{% endset %}{{ text }}",
    "{% filter upper %}{{ content }}{% endfilter %}",
    "{% generation %}{{ content }}{% endgeneration %}",
    "{{ message.get('name', 'nobody') ~ (none) ~ [1, 'a'] ~ content }}",
    "{% if message is mapping and content is string %}{{ content[:5] }}{% endif %}",
    "{% if loop.previtem is defined %}{{ loop.previtem.role }}{% endif %}{{ content }}",
]
_STATEMENTS = [
    "{% set ns = namespace(first=-1) %}{% for m in messages[::-1] %}{% if loop.last %}"
    "{% set ns.first = loop.index %}{% break %}{% endif %}{% endfor %}",
    "{% for m in messages %}{% for c in m.role %}{% if c == 's' %}{% continue %}{% endif %}{{ c }}"
    "{% if c == 'e' %}{% break %}{% endif %}{% endfor %}{% if m.role == 'user' %}{% continue %}"
    "{% endif %}-{% endfor %}",
    "{% for m in messages %}{% with x = m.role %}{% if x == 'user' %}{% break %}{% endif %}{{ x }}"
    "{% endwith %}!{% else %}nobody{% endfor %}",
    "{% set found = messages|selectattr('role', 'equalto', 'user')|list %}{{ found|length }}",
    "{% macro show(m, end='.') %}{{ m.role ~ end }}{% endmacro %}{{ show(messages[0], end='!') }}",
    "{% for tool in tools or [] %}{{ tool|tojson(indent=2, sort_keys=true) }}"
    "{{ tool|tojson(False, none, (',', ':')) }}{{ tool.function.keys()|join }}{% endfor %}",
]


def chat(body: str = "{{ content }}", before: str = "") -> str:
    return (
        before + "{% for message in messages %}{% set content = message.content %}"
        "<|{{ message.role }}|>" + body + "<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )


@pytest.mark.parametrize(
    "source", [*map(chat, _BODIES), *(chat(before=text) for text in _STATEMENTS)]
)
def test_prompts_keep_their_bytes(source: str) -> None:
    found = adapt(SourceTemplate.of(source, TOKENS))
    assert found.kind == "adapted", found.reasons


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (chat("{{ content.isdigit() }}"), "the method isdigit, line 1"),
        (chat("{{ '%5d' % 3 }}"), "the operator % of a text, line 1"),
        (chat("{{ '{:>5}'.format(content) }}"), "the method format, line 1"),
        (chat(before="{% set next = joiner() %}{{ next() }}"), "the function joiner, line 1"),
        (
            chat(before="{{ ['é']|tojson(ensure_ascii=true) }}"),
            "options of tojson, line 1",
        ),
        (
            chat(before="{% for m in messages recursive %}{% break %}{% endfor %}"),
            "a recursive loop is left, line 1",
        ),
    ],
)
def test_what_cannot_be_written_is_named(source: str, named: str) -> None:
    found = adapt(SourceTemplate.of(source, TOKENS))
    assert found.kind == "fallback"
    assert any(named in reason for reason in found.reasons), found.reasons


@pytest.mark.parametrize("end", ["<end of turn>", "###", "<|end▁of▁sentence|>"])
def test_the_end_of_an_answer_is_a_token_that_the_tokenizer_names(end: str) -> None:
    # The last answer alone shows its thoughts, so that the text must be cut at its end.
    body = "{{ content.split('</think>')[-1] if loop.index < messages|length else content }}"
    found = adapt(SourceTemplate.of(chat(body).replace("<|end|>", f"{end}\n"), {"eos_token": end}))
    assert (found.kind, found.end_of_turn) == ("adapted", end), found.reasons
