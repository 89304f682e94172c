"""Chat templates that would take the machine: `convert`, `run` and `verify` go on or can be ended.

The limits themselves are in tests/unit/services/test_template_process.py.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from converted import write_bundle
from litertlm.bundle.metadata import llm_metadata
from litertlm.bundle.prompt_config import CHAT_TEMPLATE_KEY, read_prompt_config
from litertlm.bundle.rewrite import rewrite
from litertlm.bundle.template_adapter import adapt
from litertlm.bundle_format.constants import LLM_METADATA
from litertlm.bundle_format.info import read_bundle_info
from litertlm.checkpoint import open_checkpoint
from litertlm.services.convert.options import ConvertOptions
from program import PROGRAM, cpu_seconds, isolated_environment, run_program, workers
from tiny import MODELS, write_checkpoint
from tiny.tokenizer import CHAT_TEMPLATE

TINY = MODELS["qwen3-gqa-tied"]
NEVER_ENDS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
IN_NATIVE_CODE = "{{ 9 ** 9999999999 }}"
TOO_LARGE = "{{ 'a' * 9999999999 }}"
DOUBLES = (
    "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}"
    "{% endfor %}{{ ns.x }}"
)
TOO_DEEP = "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}"


@pytest.mark.parametrize(
    ("hostile", "why"),
    [
        (NEVER_ENDS, "It takes more than 10 s to render."),
        (TOO_LARGE, "It takes more than 1,024 MiB of memory to render."),
        (TOO_DEEP, "It is nested too deeply."),
        ("{{ messages[0].content", "cannot be rendered: "),
    ],
)
def test_a_hostile_template_is_left_out_and_the_plain_one_answers(
    hostile: str, why: str, tmp_path: Path
) -> None:
    write_checkpoint(TINY, tmp_path / "tiny", chat_template=hostile + CHAT_TEMPLATE)
    ended = run_program("convert", "tiny", "--no-check", home=tmp_path)
    assert ended.code == 0, ended.err
    (warning,) = [line for line in ended.err.splitlines() if line.startswith("! ")]
    assert "The checkpoint's chat template is left out of the bundle" in warning
    assert why in warning
    assert "chat_template.jinja" in warning
    bundle = tmp_path / "models/local/tiny/tiny.litertlm"
    assert hostile.encode() not in bundle.read_bytes()
    info = read_bundle_info(bundle)
    assert info.properties["template_kind"] == "fallback"
    assert "<|im_end|>" in str(info.template)
    answered = run_program("run", "tiny", "--prompt", "Hi", "--max-tokens", "4", home=tmp_path)
    assert answered.code == 0, answered.err
    assert answered.out.strip()
    if hostile == TOO_LARGE:
        verified = run_program("verify", "tiny", "--json", home=tmp_path)
        assert verified.code == 0, verified.err
        (prompts,) = [c for c in json.loads(verified.out)["checks"] if c["name"] == "prompts"]
        assert prompts["verdict"] == "passed"


def hostile_bundle(home: Path, template: str) -> Path:
    """A bundle as it may be downloaded: `run` renders the template in its properties."""
    write_checkpoint(TINY, home / "tiny")
    good = write_bundle(home / "tiny", home / "good.litertlm", ConvertOptions())
    bundle = home / "hostile.litertlm"
    system = read_bundle_info(good).header.system
    rewrite(good, bundle, {}, {**system, CHAT_TEMPLATE_KEY: template})
    return bundle


@pytest.mark.parametrize(  # the limit on time costs 10 s, and is tested with `convert`
    ("hostile", "why"),
    [
        (TOO_LARGE, "It takes more than 1,024 MiB of memory to render."),
        (TOO_DEEP, "It is nested too deeply."),
    ],
)
def test_a_bundle_with_a_hostile_template(hostile: str, why: str, tmp_path: Path) -> None:
    bundle = hostile_bundle(tmp_path, hostile)
    ended = run_program("run", bundle, "--prompt", "Hi", home=tmp_path)
    assert ended.code == 7, ended.err
    assert "✗ The chat template cannot be used." in ended.err
    assert why in ended.err
    assert "--raw" in ended.err
    raw = ("--prompt", "Hi", "--max-tokens", "4", "--raw")
    assert run_program("run", bundle, *raw, home=tmp_path).code == 0


def test_verify_gives_the_runtime_a_hostile_template_with_a_limit_on_memory(tmp_path: Path) -> None:
    folder = write_checkpoint(TINY, tmp_path / "tiny")
    ended = run_program("convert", "tiny", "--no-check", home=tmp_path)
    assert ended.code == 0, ended.err
    bundle = tmp_path / "models/local/tiny/tiny.litertlm"
    prompts = read_prompt_config(open_checkpoint(folder), adapt)
    hostile = replace(prompts.template, source=DOUBLES)
    section = llm_metadata(replace(prompts, template=hostile), max_num_tokens=64)
    changed = tmp_path / "hostile.litertlm"
    rewrite(bundle, changed, {LLM_METADATA: section}, read_bundle_info(bundle).header.system)
    options = ("--checkpoint", "tiny", "--only", "prompts")
    verified = run_program("verify", changed, *options, home=tmp_path)
    assert verified.code == 9, verified.err
    assert "The chat template should be" in verified.out
    assert "memory allocation" in verified.out


@pytest.mark.parametrize(  # every pair of two values
    ("number", "hostile", "command"),
    [
        (signal.SIGINT, NEVER_ENDS, "convert"),
        (signal.SIGINT, IN_NATIVE_CODE, "run"),
        (signal.SIGTERM, NEVER_ENDS, "run"),
        (signal.SIGTERM, IN_NATIVE_CODE, "convert"),
    ],
)
def test_a_signal_ends_the_program_while_a_hostile_template_renders(
    number: signal.Signals, hostile: str, command: str, tmp_path: Path
) -> None:
    if command == "convert":
        write_checkpoint(TINY, tmp_path / "tiny", chat_template=hostile)
        arguments = ["convert", "tiny"]
    else:
        arguments = ["run", str(hostile_bundle(tmp_path, hostile)), "--prompt", "Hi"]
    before = files_of(tmp_path)
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        env=isolated_environment(tmp_path, TMPDIR=str(tmp_path / "tmp")),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # Its imports take less.
    wait_for(lambda: any(cpu_seconds(pid) > 0.5 for pid in workers(tmp_path, "templates")))
    process.send_signal(number)
    out, err = process.communicate()
    # At a limit it would have ended by itself, with another code.
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    wait_for(lambda: not workers(tmp_path, "templates"))
    assert list((tmp_path / "tmp").iterdir()) == []
    left = {path for path in files_of(tmp_path) - before if path.suffix == ".litertlm"}
    assert left == set()


def files_of(home: Path) -> set[Path]:
    return {path for path in home.rglob("*") if path.is_file()}


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(12_000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("nothing happened for two minutes")
