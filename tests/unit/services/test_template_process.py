"""Chat templates that take too much time, memory, depth or text end in an error, and soon."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from litertlm.bundle.adapted_template import PLAIN_TEMPLATE, SourceTemplate
from litertlm.bundle.template_adapter import adapt
from litertlm.errors import NotEnoughResources, TemplateError, TemplateLimit
from litertlm.services.worker import TemplateLimits, TemplateProcess, template_process
from program import cpu_seconds
from tiny.tokenizer import CHAT_TEMPLATE

NEVER_ENDS = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}x"
    "{% endfor %}{% endfor %}{% endfor %}",
    "{{ lipsum(n=9999999999) }}",
    "{{ 9 ** 9999999999 }}",  # in C, which no Python signal handler interrupts
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
)
TOO_LARGE = (
    "{{ 'a' * 9999999999 }}",
    "{{ [0] * 9999999999 }}",
    "{{ 'a'|center(9999999999) }}",
    "{{ 'a'|replace('a', 'x' * 999999)|replace('x', 'y' * 9999) }}",
    "{{ (['a' * 999999] * 9999)|join }}",
    "{{ '%9999999999d' % 1 }}",
    "{{ '{:9999999999}'.format(1) }}",
    "{{ 'a'|indent(9999999999, true) }}",
    "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}"
    "{% endfor %}{{ ns.x }}",
)
TOO_DEEP = (
    "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    "{% for m in messages recursive %}{{ loop([m]) }}{% endfor %}",
    "{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}",
    "{{ " + "-" * 20_000 + "1 }}",
    "{{ " + "not " * 20_000 + "1 }}",
    "{{ " + "1 + " * 20_000 + "1 }}",
    "{{ x" + ".a" * 20_000 + " }}",
    "{{ x" + "|upper" * 20_000 + " }}",
)
TOO_LONG = (
    "{{ 'a' * 32000001 }}",
    "{% for a in range(99999) %}{{ 'a' * 999 }}{% endfor %}",
)
GOOD = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
QUESTION = [{"role": "user", "content": "Hi \U0001f600"}]


@pytest.fixture
def templates() -> Iterator[TemplateProcess]:
    with TemplateProcess() as process:
        yield process


def render(templates: TemplateProcess, template: str) -> str:
    return templates.render(template, {}, messages=QUESTION)


def why_not(templates: TemplateProcess, template: str) -> str:
    with pytest.raises(TemplateLimit) as limit:
        render(templates, template)
    return limit.value.why


@pytest.mark.parametrize("template", NEVER_ENDS)
def test_a_template_that_takes_forever(template: str) -> None:
    with TemplateProcess(TemplateLimits(seconds=0.6)) as templates:
        assert why_not(templates, template) == "It takes more than 1 s to render."
        assert render(templates, GOOD) == "<user>Hi \U0001f600"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        *((text, "It takes more than 1,024 MiB of memory to render.") for text in TOO_LARGE),
        *((text, "It is nested too deeply.") for text in TOO_DEEP),
        *((text, "It renders more than 32,000,000 characters.") for text in TOO_LONG),
    ],
)
def test_a_template_that_takes_too_much(
    templates: TemplateProcess, template: str, why: str
) -> None:
    assert why_not(templates, template) == why
    assert render(templates, GOOD) == "<user>Hi \U0001f600"


@pytest.mark.parametrize("template", [TOO_LARGE[0], TOO_DEEP[0], TOO_DEEP[2]])
def test_a_hostile_template_is_replaced_by_the_plain_one(
    templates: TemplateProcess, template: str
) -> None:
    source = SourceTemplate(template, {}, ("<end>",), "{{ messages[0].content }}<end>")
    found = templates.adapt(source)
    assert (found.kind, found.source) == ("fallback", source.fallback)
    assert not found.original_is_usable
    (reason,) = found.reasons
    assert reason.startswith("The checkpoint's template exceeds a limit. It ")
    assert templates.adapt(replace(source, fallback=None)).source == PLAIN_TEMPLATE


def test_the_result_is_that_of_this_process(templates: TemplateProcess) -> None:
    source = SourceTemplate.of(CHAT_TEMPLATE, {"eos_token": "<|im_end|>"})
    templates.begin(source)
    assert templates.adapt(source) == adapt(source)
    templates.begin(source)  # whose answer is not taken for the next one's
    other = replace(source, text=GOOD)
    assert templates.adapt(other) == adapt(other)


def test_a_refusal_has_the_reason_of_the_template(templates: TemplateProcess) -> None:
    with pytest.raises(TemplateError) as refusal:
        render(templates, "{{ raise_exception('roles must alternate') }}")
    assert refusal.value.why == "roles must alternate"
    assert not isinstance(refusal.value, TemplateLimit)


def test_a_machine_without_memory_is_no_fault_of_the_template(
    templates: TemplateProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_process, "can_allocate", lambda nbytes: False)
    with pytest.raises(NotEnoughResources):
        render(templates, TOO_LARGE[0])


def test_a_process_that_is_killed_from_outside_is_no_fault_of_the_template(
    templates: TemplateProcess,
) -> None:
    templates.start()
    assert templates._worker is not None
    templates._worker.kill()  # as the kernel does when there is no more memory
    with pytest.raises(NotEnoughResources):
        render(templates, GOOD)


@pytest.mark.parametrize("template", [NEVER_ENDS[0], "{{ 9 ** 9999999999 }}"])
def test_a_signal_handler_can_cancel(template: str) -> None:
    with TemplateProcess() as templates:
        before = signal.signal(signal.SIGALRM, lambda number, frame: templates.cancel())
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        try:
            with pytest.raises(KeyboardInterrupt):
                render(templates, template)
        finally:
            signal.signal(signal.SIGALRM, before)
        templates.cancel()  # of nothing
        assert render(templates, "{{ 1 }}") == "1"


GROWS = """
from litertlm.services.worker.limits import memory_watched
with memory_watched(1 << 30):
    kept = b"x" * (1 << 20)
with memory_watched(1 << 26):
    kept = [kept * 2 for _ in range(200_000)]
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no peak memory of this kind")
def test_memory_that_is_watched_where_the_kernel_sets_no_limit() -> None:
    done = subprocess.run([sys.executable, "-c", GROWS], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "MemoryError\n")


PARENT = """
import sys
from litertlm.services.worker import TemplateLimits, TemplateProcess
templates = TemplateProcess(TemplateLimits(seconds=0.6))
templates.start()
print(templates._worker._process.pid, flush=True)
templates.render("{{ 9 ** 9999999999 }}", {}, messages=[])
"""


def test_no_process_is_left_when_the_program_is_killed_while_native_code_renders() -> None:
    program = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    child = int(program.stdout.readline())
    wait_for(lambda: cpu_seconds(child) > 0.2)
    program.kill()
    program.wait()
    program.stdout.close()
    wait_for(lambda: not Path(f"/proc/{child}").exists())


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("nothing happened for a minute")
