"""Chat templates: those of real models, mutated, and hostile ones."""

from __future__ import annotations

import random
from functools import lru_cache
from pathlib import Path

from fuzz.mutate import mutate_text
from tiny.tokenizer import CHAT_TEMPLATE

FOLDER = Path(__file__).parent.parent / "fidelity" / "templates"

PIECES = (
    *("{% for m in messages %}", "{% endfor %}", "{% if true %}", "{% endif %}", "{% else %}"),
    *("{{ messages }}", "{{ messages[0] }}", "{{ messages[99].content }}", "{{ m.content.a.b }}"),
    *("{{ 1/0 }}", "{{ 2**99 }}", "{{ range(5)|list }}", "{{ 'a' * 50 }}", "{{ loop }}"),
    *("{% set x = namespace(a=1) %}", "{% set x.a = x %}", "{% macro f(a) %}x{% endmacro %}"),
    *("{{ f(1) }}", "{{ self }}", "{% block a %}{% endblock %}", "{{ super() }}"),
    *("{% include 'a' %}", "{% extends 'a' %}", "{% import 'a' as b %}", "{% raw %}"),
    *("{{ raise_exception('no') }}", "{{ strftime_now('%Y') }}", "{{ strftime_now('%') }}"),
    *("{{ messages|tojson(indent=2) }}", "{{ undefined.x }}", "{{ ''.__class__.__mro__ }}"),
    *("{{ messages|map(attribute='content')|join }}", "{{ messages|sort }}", "{{ cycler() }}"),
    *("{{ lipsum(n=1) }}", "{{ joiner() }}", "{{ dict(a=1).items() }}", "{{ '%c' % 55296 }}"),
    *("{%- ", " -%}", "{#", "#}", "{{", "}}", "{%", "%}", "{% break %}", "{% continue %}"),
    *("{{ '\\ud800' }}", "{{ messages.append(1) }}", "{{ tools[0].function.name }}"),
    *("{{ bos_token }}", "{% generation %}", "{% endgeneration %}", "{{ x|attr('y') }}"),
    *("{{ '{:>99}'.format(1) }}", "{{ 1.0e400 }}", "{{ 1 if }}", "{% call f() %}{% endcall %}"),
    *("{{ messages|groupby('role') }}", "{% filter upper %}", "{% endfilter %}", "{{ none + 1 }}"),
)
_N = "@n@"
# With a number in place of @n@: harmless when it is small, and a hang or much memory when large.
HOSTILE = (
    "{% for a in range(@n@) %}{% for b in range(@n@) %}{% endfor %}{% endfor %}",
    "{% for a in range(@n@) %}{% for b in range(@n@) %}{% for c in range(@n@) %}x{% endfor %}"
    "{% endfor %}{% endfor %}",
    "{{ 'a' * @n@ }}",
    "{{ 'a'|center(@n@) }}",
    "{{ '%@n@d' % 1 }}",
    "{{ '{:@n@}'.format(1) }}",
    "{{ 9 ** @n@ }}",
    "{{ [0] * @n@ }}",
    "{{ lipsum(n=@n@) }}",
    "{{ range(@n@)|list|length }}",
    "{{ 'a'|indent(@n@) }}",
    "{% set ns = namespace(x='ab') %}{% for i in range(@n@) %}{% set ns.x = ns.x + ns.x %}"
    "{% endfor %}{{ ns.x }}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(@n@) }}",
    "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(@n@) }}",
    "{% for m in messages recursive %}{{ loop([m]) }}{% endfor %}{{ @n@ }}",
)
NUMBERS = (1, 3, 40, 1000, 99_999, 9_999_999_999)
_DEEP = (("(", ")"), ("[", "]"), ("{% if 1 %}", "{% endif %}"), ("-", ""), ("not ", ""))


def make(rng: random.Random) -> str:
    """A template: mostly a mutated one of a real model."""
    kind = rng.random()
    if kind < 0.06:
        hostile = rng.choice(HOSTILE).replace(_N, str(rng.choice(NUMBERS)))
        return hostile + CHAT_TEMPLATE if rng.random() < 0.5 else hostile
    if kind < 0.08:
        before, after = rng.choice(_DEEP)
        depth = rng.choice((10, 90, 500, 5000, 100_000))
        inner = before * depth + "1" + after * depth
        return inner if "%" in before else "{{ " + inner + " }}"
    source = rng.choice((CHAT_TEMPLATE, *_real_templates()))
    if kind < 0.2:
        return "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 6)))
    return mutate_text(rng, source, PIECES)


@lru_cache
def _real_templates() -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.jinja")))
