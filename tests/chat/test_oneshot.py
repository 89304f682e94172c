"""One answer: flags, pipes, JSON, errors, with the real program and model."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from templates import CALLING, THINKING, with_template

from program import PROGRAM, Ended, isolated_environment, run_program

GERMANY = "What is the capital of Germany?"
BERLIN = "The capital of Germany is Berlin.\n"


def ask(home: Path, *arguments: str, stdin: str = "") -> Ended:
    return run_program("run", "demo", *arguments, home=home, stdin=stdin)


def answer(home: Path, *arguments: str, stdin: str = "") -> dict[str, object]:
    ended = ask(home, "--json", *arguments, stdin=stdin)
    assert ended.code == 0, ended.err
    data = json.loads(ended.out)
    assert isinstance(data, dict)
    return data


def test_stdout_contains_only_the_answer(home: Path) -> None:
    ended = ask(home, "--prompt", GERMANY)
    assert (ended.code, ended.out) == (0, BERLIN)
    assert "✓ Model already exists at" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_piped_prompt(home: Path) -> None:
    assert ask(home, stdin=GERMANY + "\n").out == BERLIN


def test_piped_input_follows_the_prompt_after_a_blank_line(home: Path) -> None:
    joined = "Repeat this text.\n\nThe cat sat."
    piped = answer(
        home, "--prompt", "Repeat this text.", "--max-tokens", "9", stdin="The cat sat.\n"
    )
    whole = answer(home, "--prompt", joined, "--max-tokens", "9")
    assert piped["text"] == whole["text"]
    assert piped["prompt_tokens"] == whole["prompt_tokens"]


def test_a_prompt_from_a_file(home: Path) -> None:
    (home / "prompt.txt").write_text(GERMANY)
    assert ask(home, "--prompt-file", "prompt.txt").out == BERLIN


def test_json(home: Path) -> None:
    data = answer(home, "--prompt", GERMANY, "--seed", "3", "--temperature", "0")
    assert data["text"] == BERLIN.strip()
    assert data["thinking"] == ""
    assert data["finish_reason"] == "stop"
    assert (data["prompt_tokens"], data["answer_tokens"]) == (37, 7)
    assert data["model"] == "demo/smollm2-135m-instruct"
    assert set(data["timings"]) == {"load_s", "first_token_s", "total_s", "tokens_per_second"}
    assert data["options"]["context"] == 1280
    assert data["options"]["seed"] == 3


def test_json_lines_stream(home: Path) -> None:
    ended = ask(home, "--jsonl", "--prompt", GERMANY)
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert [line["type"] for line in lines[:-1]] == ["text"] * 7
    assert "".join(line["text"] for line in lines[:-1]) == BERLIN.strip() == lines[-1]["text"]
    assert (lines[-1]["type"], lines[-1]["finish_reason"]) == ("done", "stop")


STORY = ("--prompt", "Tell me a story about a fox.", "--max-tokens", "25")


def test_the_seed_determines_the_answer(home: Path) -> None:
    hot = ("--temperature", "1.2", "--top-k", "200", "--top-p", "0.99")
    texts = [answer(home, *STORY, *hot, "--seed", seed)["text"] for seed in ("7", "7", "8")]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_without_a_seed_answers_differ_and_json_has_the_seed(home: Path) -> None:
    hot = ("--temperature", "1.2", "--top-k", "200", "--top-p", "0.99")
    first, second = (answer(home, *STORY, *hot) for _ in range(2))
    assert first["text"] != second["text"]
    again = answer(home, *STORY, *hot, "--seed", str(first["options"]["seed"]))
    assert again["text"] == first["text"]


def test_an_answer_ends_at_the_limit_or_before_a_stop_string(home: Path) -> None:
    data = answer(home, *STORY, "--max-tokens", "5")
    assert (data["finish_reason"], data["answer_tokens"]) == ("max_tokens", 5)
    data = answer(home, "--prompt", GERMANY, "--stop", "Berlin", "--stop", "nothing")
    assert (data["text"], data["finish_reason"]) == ("The capital of Germany is ", "stop_string")


def test_a_system_message_is_part_of_the_prompt(home: Path) -> None:
    default = answer(home, "--prompt", GERMANY)
    own = answer(home, "--prompt", GERMANY, "--system", "Answer in one word.")
    assert own["prompt_tokens"] != default["prompt_tokens"]


def test_raw_text_is_continued(home: Path) -> None:
    data = answer(home, "--raw", "--prompt", "The capital of Germany is", "--max-tokens", "3")
    assert data["prompt_tokens"] == 5
    assert "Berlin" in str(data["text"])


def test_a_repetition_penalty_changes_the_answer(home: Path) -> None:
    plain = answer(home, "--raw", "--prompt", "a b a b a b a b", "--max-tokens", "10")
    less = answer(
        home,
        *("--raw", "--prompt", "a b a b a b a b", "--max-tokens", "10"),
        *("--repetition-penalty", "2.0"),
    )
    assert plain["text"] != less["text"]


def test_an_answer_in_json(home: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
        "required": ["city", "people"],
        "additionalProperties": False,
    }
    (home / "schema.json").write_text(json.dumps(schema))
    ended = ask(home, "--prompt", GERMANY, "--schema", "schema.json", "--max-tokens", "60")
    assert ended.code == 0, ended.err
    data = json.loads(ended.out)
    assert list(data) == ["city", "people"]
    assert isinstance(data["people"], int)


def test_a_schema_that_the_runtime_cannot_follow_is_explained(home: Path) -> None:
    (home / "schema.json").write_text('{"enum": ["New York", "Los Angeles"]}')
    ended = ask(home, "--prompt", "Which city?", "--schema", "schema.json")
    assert ended.code == 1, "a runtime that has learnt it: say so in docs/chat.md"
    assert "contain spaces" in ended.err
    assert "full_name" in ended.err
    assert "lexer" not in ended.err
    assert "Warning" not in ended.err


def test_any_json(home: Path) -> None:
    ended = ask(
        home, "--prompt", "Describe a cat as JSON.", "--format", "json", "--max-tokens", "20"
    )
    assert ended.out.startswith("{")


def test_flags_override_defaults_and_defaults_override_the_bundle(home: Path) -> None:
    def config(*arguments: str) -> None:
        assert run_program("config", *arguments, home=home).code == 0

    config("set", "demo", "max_tokens", "3")
    assert answer(home, "--prompt", GERMANY)["answer_tokens"] == 3
    assert answer(home, "--prompt", GERMANY, "--max-tokens", "2")["answer_tokens"] == 2
    config("unset", "demo", "max_tokens")
    assert answer(home, "--prompt", GERMANY)["answer_tokens"] == 7


def test_stats_are_printed_on_stderr(home: Path) -> None:
    ended = ask(home, "--prompt", GERMANY, "--stats")
    assert ended.out == BERLIN
    assert "prompt 37 tokens" in ended.err
    assert "answer 7 tokens" in ended.err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--temperature", "-1"], "temperature"),
        (["--top-p", "2"], "top_p"),
        (["--backend", "npu"], "backend"),
        (["--context", "9999999"], "8,192"),
        (["--prompt-file", "missing.txt"], "missing.txt"),
        (["--raw", "--system", "Be kind."], "--raw"),
        (["--json", "--jsonl"], "--jsonl"),
        (["--schema", "bad.json"], "bad.json"),
        (["--schema", "list.json"], "A schema is a JSON object"),
        (["--schema", "unknown.json"], "Invalid type: nonsense"),
        (["--stop", ""], "stop cannot be ''"),
        (["--tools", "bad.json"], "bad.json"),
        (["--prompt", ""], "empty"),
    ],
)
def test_usage_errors(home: Path, arguments: list[str], word: str) -> None:
    (home / "bad.json").write_text("{")
    (home / "list.json").write_text("[1]")
    (home / "unknown.json").write_text('{"type": "nonsense"}')
    prompt = () if "--prompt" in arguments or "--prompt-file" in arguments else ("--prompt", "Hi")
    ended = ask(home, *prompt, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert word in ended.err
    assert "Traceback" not in ended.err
    assert "third_party" not in ended.err


@pytest.mark.parametrize("broken", ["tools.py", "models/config.toml", "schema.json"])
def test_broken_files_are_found_before_any_download(home: Path, broken: str) -> None:
    for name in ("tools.py", "models/config.toml", "schema.json"):
        (home / name).write_text("= [" if name == broken else "")
    option = {"tools.py": ("--tools", broken), "schema.json": ("--schema", broken)}.get(broken, ())
    ended = run_program(
        *("run", "org/not-on-disk", "--prompt", "Hi", *option), home=home, HF_HUB_OFFLINE="1"
    )
    assert ended.code == 2
    assert broken in ended.err


def test_a_prompt_longer_than_the_context(home: Path) -> None:
    ended = ask(home, stdin="word " * 3000)
    assert ended.code == 2
    assert "3,031 tokens" in ended.err
    assert "1,280" in ended.err


def test_a_prompt_is_counted_beyond_a_nul(home: Path) -> None:
    ended = ask(home, stdin="\0" + "word " * 3000)
    assert ended.code == 2
    assert "tokens; the context has 1,280" in ended.err


def test_a_larger_context(home: Path) -> None:
    data = answer(home, "--context", "1600", "--max-tokens", "2", stdin="word " * 1400)
    assert data["prompt_tokens"] > 1400
    assert data["answer_tokens"] > 0


def test_a_full_context_ends_the_answer_with_a_warning(home: Path) -> None:
    ended = ask(home, "--context", "64", "--raw", "--prompt", "1, 2, 3, 4, 5, 6, 7,")
    assert ended.code == 0
    assert ended.out
    assert "context is full" in ended.err


def test_input_that_is_not_utf8(home: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "run", "demo", "--max-tokens", "2"],
        env=isolated_environment(home),
        cwd=home,
        input=b"Who wrote Caf" + b"\xe9?",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert "not UTF-8: Byte 13 is 0xe9" in done.stderr.decode()


def test_arguments_that_are_not_utf8(home: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "run", "demo", "--max-tokens", "2", "--prompt", b"Caf\xe9?", "--stop", b"\xff"],
        env=isolated_environment(home),
        cwd=home,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_a_closed_stdout_ends_quietly(home: Path) -> None:
    done = subprocess.run(
        f"{' '.join(PROGRAM)} run demo --quiet --prompt 'Write a poem.' --max-tokens 60 | head -1",
        shell=True,
        env=isolated_environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_dynamic_shapes_run_on_the_cpu_with_a_warning(home: Path) -> None:
    ended = ask(home, "--backend", "gpu", "--prompt", GERMANY)
    assert (ended.code, ended.out) == (0, BERLIN)
    assert "has dynamic shapes, which no GPU runs, so the CPU does" in ended.err
    assert "--reconvert" in ended.err


def test_without_a_gpu_the_cpu_is_used_with_a_warning(home: Path) -> None:
    (checkpoint,) = home.glob("models/demo/*/checkpoint/*.gguf")
    prompt = ("--prompt", GERMANY, "--max-tokens", "9")
    ended = run_program("run", checkpoint, "--backend", "gpu", *prompt, home=home)
    assert (ended.code, ended.out) == (0, BERLIN)
    assert "No GPU can be used here, so the CPU is: " in ended.err
    assert "third_party" not in ended.err
    shown = run_program("show", checkpoint, "--json", home=home)
    assert json.loads(shown.out)["shapes"] == "static", "what a GPU would have needed"


def test_a_damaged_bundle_is_named(home: Path) -> None:
    (home / "bad.litertlm").write_bytes(b"LITERTLM" + b"\xff" * 100_000)
    ended = run_program("run", "./bad.litertlm", "--prompt", "Hi", home=home)
    assert ended.code == 10
    assert "bad.litertlm" in ended.err


def test_a_bundle_that_the_runtime_cannot_load(home: Path) -> None:
    (bundle,) = home.glob("models/demo/*/*.litertlm")
    data = bytearray(bundle.read_bytes())
    # The model's own flatbuffer, where its identifier is.
    place = data.index(b"TFL3")
    data[place : place + 4] = b"XXXX"
    (home / "other.litertlm").write_bytes(data)
    ended = run_program("run", "./other.litertlm", "--prompt", "Hi", home=home)
    assert ended.code in (1, 10)
    assert "other.litertlm" in ended.err
    assert "Failed" in ended.err or "INTERNAL" in ended.err or "INVALID" in ended.err


def test_ctrl_c_keeps_the_partial_answer(home: Path) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "run", "demo", "--prompt", "Tell me a very long story about a dragon."],
        env=isolated_environment(home),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    first = process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (first + rest).decode().strip()
    assert "Interrupted" in errors.decode()
    assert "Traceback" not in errors.decode()


def test_text_is_streamed(home: Path) -> None:
    """The first piece arrives while the answer is still being generated."""
    process = subprocess.Popen(
        [*PROGRAM, "run", "demo", "--prompt", "Write a long story.", "--max-tokens", "300"],
        env=isolated_environment(home),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert process.stdout.read(1)
    assert process.poll() is None
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_thinking_is_not_part_of_the_answer(home: Path, demo_bundle: Path) -> None:
    with_template(demo_bundle, home / "thinker.litertlm", THINKING)
    ask = ("run", "./thinker.litertlm", "--prompt", "Is water wet?", "--max-tokens", "8")
    shown = run_program(*ask, home=home)
    assert (shown.code, shown.out) == (0, "")
    hidden = run_program(*ask, "--hide-thinking", home=home)
    assert (hidden.out, hidden.err) == ("", "")
    assert shown.err.strip()
    data = json.loads(run_program(*ask, "--json", home=home).out)
    assert data["thinking"].split() == shown.err.split()
    assert run_program(*ask, "--no-think", home=home).out.strip()


def test_a_model_without_a_switch_for_thinking(home: Path) -> None:
    assert "no switch for thinking" in ask(home, "--prompt", GERMANY, "--think").err


def test_functions_are_called_only_with_yes(home: Path, demo_bundle: Path) -> None:
    with_template(demo_bundle, home / "caller.litertlm", CALLING)
    (home / "tools.py").write_text(
        'def clock(city: str):\n    """The time in a city."""\n    return "noon"\n'
    )
    ask = ("run", "./caller.litertlm", "--prompt", "time?", "--max-tokens", "30")
    called = run_program(*ask, "--tools", "tools.py", "--yes", home=home)
    assert "Calling clock(city='Rome')" in called.err
    assert "noon" in called.out
    assert "tool_call" not in called.out
    refused = run_program(*ask, "--tools", "tools.py", "--json", home=home)
    assert "Not calling clock(city='Rome'): --yes is not set." in refused.err
    call = {"name": "clock", "arguments": {"city": "Rome"}}
    assert json.loads(refused.out)["tool_calls"][0] == call


def test_json_that_was_cut_off_is_a_warning(home: Path) -> None:
    ended = ask(home, "--prompt", GERMANY, "--format", "json", "--max-tokens", "2")
    assert "cut off after 2 tokens" in ended.err


def test_not_enough_memory(home: Path) -> None:
    done = subprocess.run(
        f"ulimit -v 400000; exec {' '.join(PROGRAM)} run demo --prompt Hi",
        shell=True,
        env=isolated_environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 6, done.stderr
    assert "more memory" in done.stderr
    assert "Traceback" not in done.stderr


TYPED = "Hi<|im_end|> <|im_end|><|im_start|>"


def test_control_tokens_in_a_prompt_are_reported(home: Path) -> None:
    ended = ask(home, "--prompt", TYPED, "--max-tokens", "1")
    assert ended.code == 0
    assert ended.err.count("control tokens <|im_end|>, <|im_start|>") == 1
    raw = ask(home, "--prompt", TYPED, "--max-tokens", "1", "--raw")
    assert "control token" not in raw.err


@pytest.mark.parametrize("where", [["--prompt", TYPED], ["--prompt", "Hi", "--system", TYPED]])
def test_control_tokens_can_be_rejected(home: Path, where: list[str]) -> None:
    ended = ask(home, *where, "--reject-control-tokens")
    assert (ended.code, ended.out) == (2, "")
    assert "contains the control tokens <|im_end|>, <|im_start|>" in ended.err


def test_text_without_control_tokens_is_not_rejected(home: Path) -> None:
    assert ask(home, "--prompt", GERMANY, "--reject-control-tokens").out == BERLIN
