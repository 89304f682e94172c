"""The chat in a pseudo-terminal: keys, commands, output, errors; the real program and model."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from templates import CALLING, LISTING, THINKING, with_template
from terminal import Terminal, file_mode, is_answering, unwrapped

from program import PROGRAM, cpu_seconds, workers
from stopping import Moment, Stop

Start = Callable[..., Terminal]
GERMANY = "What is the capital of Germany?"
BERLIN = "The capital of Germany is Berlin."
SURROGATE = '{"messages": [{"role": "user", "content": "\\ud800"}]}'
LONG = "Tell me a very long story about a dragon."


def test_start_of_a_chat(start: Start) -> None:
    terminal = start()
    terminal.wait_for_prompt()
    lines = [line for line in terminal.text.splitlines() if line]
    assert lines[0].startswith("✓ Model already exists at models/demo/")
    assert lines[1].startswith("Loading demo/smollm2-135m-instruct")
    assert lines[2].startswith("Enter your prompt:")
    assert lines[3] == ">"
    assert terminal.screen.cursor.x == 2


def test_the_first_line_is_printed_before_the_imports_and_replaced(start: Start) -> None:
    terminal = start()
    terminal.wait_until(lambda: bool(terminal.received), "a first line")
    assert terminal.received.startswith("Looking for demo...")
    assert "Looking for" not in terminal.wait_for_prompt()


def test_the_first_line_is_replaced_by_the_answer(
    start: Start, home: Path, demo_bundle: Path
) -> None:
    name = "./with-a-name-that-is-longer-than-the-answer.litertlm"
    os.link(demo_bundle, home / name)
    terminal = start("--prompt", GERMANY, model=name)
    assert terminal.wait_for_end() == 0
    assert terminal.received.startswith(f"Looking for {name}...")
    assert terminal.text == BERLIN


def test_questions_answers_and_ctrl_d(start: Start) -> None:
    terminal = start()
    assert f"> {GERMANY}\n{BERLIN}\n" in terminal.send_line(GERMANY)
    assert "The capital of Japan is Tokyo." in terminal.send_line("And of Japan?")
    terminal.send("\x04")
    assert terminal.wait_for_end() == 0


def test_bye(start: Start) -> None:
    terminal = start()
    terminal.wait_for_prompt()
    terminal.send("/bye\r")
    assert terminal.wait_for_end() == 0
    assert terminal.left_usable


def test_several_lines(start: Start) -> None:
    terminal = start("--raw", "--max-tokens", "1")
    terminal.wait_for_prompt()
    for newline in ("\n", "\x1b\r"):
        terminal.send(f"one{newline}two")
        assert "two" in terminal.wait_for("... two")
        terminal.send("\x03")
        terminal.wait_until(lambda: terminal.cursor_line.rstrip() == ">", "an empty line")
    sent = terminal.send('"""first\rsecond"""\r')
    terminal.wait_for("... second")
    terminal.wait_for_prompt(after=sent)
    assert "template prompt" not in terminal.text
    assert "first\nsecond" in terminal.send_line("/template prompt")


def test_a_paste_keeps_its_lines(start: Start) -> None:
    terminal = start("--raw", "--max-tokens", "1")
    terminal.wait_for_prompt()
    terminal.send("\x1b[200~alpha\rbeta\x1b[201~")
    terminal.wait_for("... beta")
    terminal.wait_for_prompt(after=terminal.send("\r"))
    assert "alpha\nbeta" in terminal.send_line("/template prompt")


def test_a_paste_of_a_megabyte(start: Start) -> None:
    terminal = start()
    terminal.wait_for_prompt()
    terminal.send("\x1b[200~")
    line = "All work and no play makes Jack a dull boy.\r"
    for _ in range(24):
        terminal.send(line * 1000)
        terminal.settled(0.01)
    terminal.send("\x1b[201~")
    terminal.wait_for("[paste 1: 1,056,000 characters, 24,001 lines]")
    terminal.send("\r")
    shown = terminal.wait_for("tokens; the context has 1,280")
    assert re.search(r"The prompt has \d{3},\d{3} tokens", shown)
    assert BERLIN in terminal.send_line(GERMANY)


def test_help_is_readable_on_a_narrow_terminal(start: Start) -> None:
    terminal = start(columns=60)
    shown = terminal.send_line("/help")
    assert "  /clear               Clear the conversation; keeps the\n" in shown
    assert "                       system message.\n" in shown


def test_history_is_kept_across_chats_and_searched(start: Start, home: Path) -> None:
    first = start("--max-tokens", "1")
    for text in ("first message", "second message"):
        first.send_line(text)
    first.send("\x04")
    first.wait_for_end()
    second = start("--max-tokens", "1")
    second.wait_for_prompt()
    second.send("\x1b[A")
    second.wait_for("> second message")
    second.send("\x1b[A")
    second.wait_for("> first message")
    second.send("\x03")
    second.wait_until(lambda: second.cursor_line.rstrip() == ">", "an empty line")
    second.send("\x12first")
    second.wait_for("I-search backward: first")
    second.send("\r")
    second.wait_until(lambda: second.cursor_line.rstrip() == "> first message", "what was found")
    (history,) = (path for path in home.rglob("history") if path.is_file())
    assert file_mode(history) == stat.S_IRUSR | stat.S_IWUSR


def test_no_history(start: Start, home: Path) -> None:
    terminal = start("--no-history", "--max-tokens", "1")
    terminal.send_line("a secret")
    terminal.send("\x04")
    terminal.wait_for_end()
    found = [path for path in home.rglob("history*") if path.is_file()]
    assert found == []


def test_tab_completes_commands_and_arguments(start: Start, home: Path) -> None:
    (home / "saved-chat.json").write_text("{}")
    terminal = start()
    terminal.wait_for_prompt()
    for typed, completed in (
        ("/reg\t", "> /regenerate"),
        ("/set temp\t", "> /set temperature"),
        ("/load saved\t", "> /load saved-chat.json"),
    ):
        terminal.send(typed)
        terminal.wait_for(completed)
        terminal.send("\x03")
        terminal.wait_until(lambda: terminal.cursor_line.rstrip() == ">", "an empty line")
    terminal.send("/t\t")
    shown = terminal.wait_for("tokens")
    terminal.send("\t\t")
    terminal.wait_for("> /tokens")
    assert "template" in shown


def test_ctrl_c_stops_an_answer_and_keeps_it(start: Start) -> None:
    terminal = start()
    terminal.wait_for_prompt()
    terminal.send(LONG + "\r")
    terminal.wait_until(lambda: len(terminal.text.partition(LONG)[2]) > 40, "an answer")
    terminal.send("\x03")
    shown = terminal.wait_for("Stopped.")
    assert len(shown.split(LONG)[1]) > 40
    assert "messages  2" in terminal.send_line("/show")
    assert BERLIN in terminal.send_line(GERMANY)


def test_ctrl_c_during_the_prefill_of_a_long_prompt(start: Start) -> None:
    terminal = start("--context", "3072", "--max-tokens", "5")
    terminal.wait_for_prompt()
    terminal.send("\x1b[200~" + "word " * 2500 + "\x1b[201~\r")
    terminal.wait_until(lambda: "\x1b[?2004l" in terminal.received, "a question sent")
    terminal.settled()
    terminal.send("\x03")
    terminal.wait_for("Stopped.")
    terminal.wait_for_prompt()
    assert terminal.cursor_line.startswith("> "), "nothing of it is kept"
    assert "The capital of Germany is" in terminal.send_line(GERMANY)


def test_what_is_typed_during_an_answer_is_the_next_message(start: Start) -> None:
    terminal = start("--raw", "--max-tokens", "60")
    terminal.wait_for_prompt()
    terminal.send("A long story about a dragon begins\r")
    terminal.wait_until(lambda: len(terminal.text.partition("begins")[2]) > 40, "an answer")
    # More than the 4096 bytes of a line that a terminal keeps by itself.
    terminal.send("word " * 1000 + "\r")
    terminal.settled()
    assert (
        terminal.send_line("/template prompt").rsplit("/template prompt", 1)[1].count("word")
        >= 1000
    )


def test_ctrl_c_at_the_prompt_prints_a_hint_and_does_not_exit(start: Start) -> None:
    terminal = start()
    terminal.wait_for_prompt()
    terminal.send("some text")
    terminal.wait_for("> some text")
    terminal.send("\x03")
    terminal.wait_until(lambda: terminal.cursor_line.rstrip() == ">", "an empty line")
    assert terminal.cursor_line.rstrip() == ">"
    terminal.send("\x03")
    terminal.wait_for("Use Ctrl-D or /bye to exit.")
    assert BERLIN in terminal.send_line(GERMANY)


def test_ctrl_g_opens_the_editor(start: Start, home: Path) -> None:
    editor = home / "editor"
    editor.write_text(
        '#!/bin/sh\nprintf "%s of Germany?" "$(cat "$1")" > "$1.new"\nmv "$1.new" "$1"\n'
    )
    editor.chmod(0o755)
    terminal = start(EDITOR=str(editor))
    terminal.wait_for_prompt()
    terminal.send("What is the capital\x07")
    terminal.wait_for(f"> {GERMANY}")
    terminal.send("\r")
    terminal.wait_for(BERLIN)


def test_ctrl_l_clears_the_screen(start: Start) -> None:
    terminal = start()
    terminal.wait_for_prompt()
    terminal.send("\x0c")
    terminal.wait_until(lambda: "Loading" not in "".join(terminal.screen.display), "a clear screen")


def test_unknown_commands_and_messages_that_begin_with_a_slash(start: Start) -> None:
    terminal = start("--max-tokens", "1")
    shown = terminal.send_line("/regenrate")
    assert "Unknown command: /regenrate." in shown
    assert "Did you mean /regenerate?" in shown
    terminal.send_line("//path/to/x")
    assert "user\n/path/to/x<|im_end|>" in terminal.send_line("/template prompt")


def test_help_names_every_command(start: Start) -> None:
    shown = start().send_line("/help")
    for name in (
        *("help", "bye", "clear", "system", "set", "show", "stats", "regenerate", "undo", "edit"),
        *("save", "load", "copy", "attach", "template", "tokens"),
    ):
        assert f"  /{name}" in shown


def test_set_changes_the_next_answer(start: Start) -> None:
    terminal = start()
    assert "max_tokens: 3" in terminal.send_line("/set max_tokens 3")
    shown = terminal.send_line(GERMANY)
    assert "The capital of\n" in shown
    assert "after 3 tokens (max_tokens)" in shown
    assert "max_tokens: default" in terminal.send_line("/set max_tokens default")
    assert BERLIN in terminal.send_line("/regenerate")
    assert "temperature cannot be 'hot'" in terminal.send_line("/set temperature hot")
    assert "Unknown option: tempo" in terminal.send_line("/set tempo 1")
    terminal.send_line("/set stop Germany")
    assert terminal.send_line("/regenerate").endswith("/regenerate\nThe capital of\n>")


def test_changing_the_context_reloads_the_model(start: Start) -> None:
    terminal = start()
    terminal.send_line(GERMANY)
    assert "context: 2000" in terminal.send_line("/set context 2000")
    assert "2,000 tokens" in terminal.send_line("/show")
    assert "The capital of Japan is Tokyo." in terminal.send_line("And of Japan?")
    assert "Its maximum is 8,192" in terminal.send_line("/set context 100000")
    assert "2,000 tokens" in terminal.send_line("/show").rsplit("/show", 1)[1]


def test_ctrl_c_while_the_model_is_reloaded_does_not_exit(start: Start) -> None:
    terminal = start()
    terminal.send_line(GERMANY)
    terminal.send("/set context 2000\r")
    terminal.wait_for("Reloading the model...")
    shown = terminal.wait_for_prompt(after=terminal.send("\x03"))
    assert "Use Ctrl-D" not in shown, "the prompt had come before Ctrl-C"
    assert "The capital of Japan is Tokyo." in terminal.send_line("And of Japan?")


def test_system_message(start: Start) -> None:
    terminal = start("--system", "You are a poet.", "--max-tokens", "1")
    terminal.send_line("Hi")
    assert "<|im_start|>system\nYou are a poet." in terminal.send_line("/template prompt")
    terminal.send_line("/system You are a cook.")
    terminal.send_line("/clear")
    terminal.send_line("Hi again")
    shown = terminal.send_line("/template prompt").rsplit("/template prompt", 1)[1]
    assert "You are a cook." in shown
    assert "poet" not in shown


def test_undo_edit_and_tokens(start: Start) -> None:
    terminal = start()
    terminal.send_line(GERMANY)
    assert "7 tokens:" not in terminal.text
    assert re.search(r"(\d+) of 1,280 tokens used", terminal.send_line("/tokens"))
    assert re.search(r"3 tokens: \d+ \d+ \d+", terminal.send_line("/tokens a b c"))
    terminal.send("/edit\r")
    terminal.wait_until(lambda: terminal.cursor_line.rstrip() == f"> {GERMANY}", "the question")
    terminal.send("\x7f" * len("Germany?") + "Japan?\r")
    terminal.wait_for("The capital of Japan is Tokyo.")
    assert "Removed: What is the capital of Japan?" in terminal.send_line("/undo")
    assert "nothing to undo" in terminal.send_line("/undo")


def test_save_and_load(start: Start, home: Path) -> None:
    first = start()
    first.send_line(GERMANY)
    first.send_line("/system Be kind.")
    assert "Saved 2 messages" in first.send_line("/save chat.json")
    data = json.loads((home / "chat.json").read_text())
    assert data["system"] == "Be kind."
    assert [message["content"] for message in data["messages"]] == [GERMANY, BERLIN]
    second = start()
    assert "Loaded 2 messages" in second.send_line("/load chat.json")
    assert "Be kind." in second.send_line("/system")
    second.send_line("/system none")
    assert "Tokyo" in second.send_line("And of Japan?")
    damaged = ('{"messages": [1]}', "[" * 100_000, "{", "[]", "\0", SURROGATE)
    for number, text in enumerate(damaged, 1):
        (home / "bad.json").write_text(text)
        shown = unwrapped(second.send_line("/load bad.json"))
        assert shown.count("not a saved conversation") == number
    assert "Cannot read" in second.send_line("/load missing.json")
    assert "Cannot write" in second.send_line("/save no/such/folder.json")


def test_copy_with_the_terminal(start: Start) -> None:
    terminal = start(PATH="/usr/bin:/bin")
    terminal.send_line(GERMANY)
    terminal.send_line("/copy")
    found = re.search(r"\x1b\]52;c;([^\x07]*)\x07", terminal.received)
    assert found
    assert base64.b64decode(found[1]).decode() == BERLIN


def test_attach_with_a_text_model(start: Start) -> None:
    shown = start().send_line("/attach photo.png")
    assert "does not support images or audio." in shown
    assert "has no vision or audio encoder." in shown


def test_stats(start: Start) -> None:
    terminal = start("--stats")
    assert "prompt 37 tokens" in terminal.send_line(GERMANY)
    assert "from the cache" in terminal.send_line("And of Japan?")


def test_context_meter_and_dropped_turns(start: Start) -> None:
    terminal = start("--context", "128", "--max-tokens", "24")
    terminal.send_line(GERMANY)
    terminal.send_line("And of Japan?")
    terminal.wait_until(lambda: re.match(r"\[\d\d%\] >", terminal.cursor_line), "a meter")
    for text in ("And of Italy?", "And of Peru?", "And of Chile?"):
        terminal.send_line(text)
    assert terminal.text.count("no longer fits the context of 128 tokens") == 1


def test_a_resize_during_an_answer(start: Start) -> None:
    terminal = start("--max-tokens", "150")
    terminal.wait_for_prompt()
    terminal.send("Write a poem.\r")
    terminal.wait_until(lambda: len(terminal.text.partition("poem.")[2]) > 40, "an answer")
    terminal.child.setwinsize(30, 50)
    terminal.screen.resize(30, 50)
    terminal.wait_for_prompt()
    assert "Berlin" in terminal.send_line(GERMANY)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_prompt_restores_the_terminal(start: Start, number: int) -> None:
    terminal = start()
    terminal.wait_for_prompt()
    assert not terminal.echoes()
    os.kill(terminal.child.pid, number)
    assert terminal.wait_for_end() == 130
    assert terminal.left_usable
    assert "\x1b[?2004l" in terminal.received.rsplit("\x1b[?2004h", 1)[1]
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("when", ["prompt is read", "answer comes"])
def test_a_signal_during_prefill_or_decode(start: Start, number: int, when: str) -> None:
    terminal = start()
    terminal.wait_for_prompt()
    if when == "answer comes":
        terminal.send(LONG + "\r")
        terminal.wait_until(lambda: len(terminal.text.partition(LONG)[2]) > 40, "an answer")
    else:
        terminal.send("\x1b[200~" + "word " * 1000 + "\x1b[201~\r")
        terminal.wait_until(lambda: "\x1b[?2004l" in terminal.received, "a question sent")
    os.kill(terminal.child.pid, number)
    assert terminal.wait_for_end() == 130
    assert is_answering(terminal.received), "the answer had ended before the signal"
    assert terminal.left_usable
    assert terminal.text.endswith("✗ Interrupted.")


def test_ctrl_z_restores_the_terminal_for_the_shell(home: Path) -> None:
    terminal = Terminal("--norc", "-i", home=home, program="/bin/bash", PS1="shell: ")
    terminal.wait_for("shell:")
    terminal.send(f"{' '.join(PROGRAM)} run demo\r")
    terminal.wait_for_prompt()
    terminal.send("What is the capital\x1a")
    terminal.wait_for("Stopped")
    terminal.send("stty -a | grep -c ' echo '; fg\r")
    terminal.wait_for("> What is the capital")
    assert "\n1\n" in terminal.text, "the shell showed what was typed"
    terminal.send(" of Germany?\r")
    terminal.wait_for(BERLIN)
    terminal.wait_for_prompt()
    terminal.send(LONG + "\r")
    terminal.wait_until(lambda: len(terminal.text.partition(LONG)[2]) > 40, "an answer")
    terminal.send("\x1a")
    terminal.wait_until(lambda: terminal.text.count("Stopped") == 2, "a second stop")
    assert is_answering(terminal.received.rpartition("Stopped")[0]), "it was stopped too late"
    sent = terminal.send("stty -a | grep -c ' echo '; fg\r")
    terminal.wait_until(lambda: terminal.text.count("\n1\n") == 2, "an echo in the shell")
    # The rest of the answer is not needed, if it comes at all.
    terminal.send("\x03")
    terminal.wait_for_prompt(after=sent)
    terminal.send("\x04")
    terminal.wait_until(lambda: terminal.cursor_line.startswith("shell:"), "the shell")


def test_ctrl_c_while_a_hostile_template_renders(
    start: Start, home: Path, demo_bundle: Path
) -> None:
    # In C, where no signal handler of Python runs.
    with_template(demo_bundle, home / "hostile.litertlm", "{{ 9 ** 9999999999 }}")
    terminal = start(model="./hostile.litertlm")
    terminal.wait_for_prompt()
    terminal.send("Hi\r")
    terminal.wait_until(
        lambda: any(cpu_seconds(pid) > 1 for pid in workers(home, "templates")), "a busy process"
    )
    assert "Interrupted." in terminal.wait_for_prompt(after=terminal.send("\x03"))
    assert workers(home, "templates") == []
    terminal.send("\x04")
    assert terminal.wait_for_end() == 0


def test_typed_bytes_that_are_not_utf8(start: Start) -> None:
    terminal = start("--raw", "--max-tokens", "1")
    terminal.wait_for_prompt()
    sent = len(terminal.received)
    os.write(terminal.child.child_fd, b"caf\xe9 au lait\r")
    terminal.wait_for_prompt(after=sent)
    assert "caf\N{REPLACEMENT CHARACTER} au lait" in terminal.send_line("/template prompt")


def test_ctrl_c_before_anything_is_loaded(start: Start, home: Path) -> None:
    stop = Stop(Moment("import", "litert_lm"), home)
    terminal = start(**stop.environment)
    terminal.wait_until(stop.reached, "an import of the runtime")
    assert terminal.received.startswith("Looking for demo...")
    terminal.send("\x03")
    assert terminal.wait_for_end() == 130
    assert terminal.left_usable
    assert terminal.text.endswith("✗ Interrupted.")


def test_closing_the_terminal_during_an_answer_ends_the_program(start: Start) -> None:
    terminal = start()
    terminal.wait_for_prompt()
    terminal.send(LONG + "\r")
    terminal.wait_until(lambda: len(terminal.text.partition(LONG)[2]) > 40, "an answer")
    terminal.child.close(force=False)
    assert not terminal.child.isalive()


def test_closing_the_terminal_ends_the_program(start: Start) -> None:
    terminal = start()
    terminal.wait_for_prompt()
    pid = terminal.child.pid
    terminal.child.close(force=False)
    assert not terminal.child.isalive()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_markdown_is_rendered_unless_plain(start: Start, home: Path, demo_bundle: Path) -> None:
    with_template(demo_bundle, home / "lister.litertlm", LISTING)
    flags = ("--max-tokens", "20")
    drawn = start(*flags, model="./lister.litertlm").send_line("Fruit?")
    plain = start(*flags, "--plain", model="./lister.litertlm").send_line("Fruit?")
    assert "- **apple** is red" in plain
    assert "• apple is red" in drawn


def test_a_signal_resets_the_terminal_style(start: Start, home: Path, demo_bundle: Path) -> None:
    counting = "**" + " ".join(map(str, range(1, 100))) + "<|im_end|>\n"
    with_template(demo_bundle, home / "bold.litertlm", counting * 3)
    # Without colours nothing else resets the style.
    flags = ("--prompt", "Go.", "--max-tokens", "400")
    terminal = start(*flags, model="./bold.litertlm", NO_COLOR="1")
    terminal.wait_until(lambda: "\x1b[1m" in terminal.received, "something bold")
    os.kill(terminal.child.pid, signal.SIGTERM)
    assert terminal.wait_for_end() == 130
    assert not terminal.screen.cursor.attrs.bold


def test_json_and_raw_text_are_not_rendered_as_markdown(
    start: Start, home: Path, demo_bundle: Path
) -> None:
    (home / "schema.json").write_text('{"const": {"a_b": "**c**_d_"}, "type": "object"}')
    shown = start("--schema", "schema.json").send_line("Go.")
    assert json.loads(shown.split("> Go.\n")[1].split("\n>")[0]) == {"a_b": "**c**_d_"}
    with_template(demo_bundle, home / "lister.litertlm", "")
    raw = start("--raw", "--max-tokens", "12", model="./lister.litertlm")
    raw.wait_for_prompt()
    raw.wait_for_prompt(after=raw.send("\x1b[200~" + "- **apple** is red\n" * 6 + "\x1b[201~\r"))
    assert "**apple**" in raw.text.rsplit("is red", 6)[1]


def test_thinking_is_dimmed_and_separate(start: Start, home: Path, demo_bundle: Path) -> None:
    with_template(demo_bundle, home / "thinker.litertlm", THINKING)
    terminal = start("--max-tokens", "8", model="./thinker.litertlm")
    terminal.send_line("Is water wet?")
    line = next(y for y, text in enumerate(terminal.screen.display) if "Is water wet?" in text) + 1
    assert terminal.screen.display[line].strip()
    answer = terminal.received.rsplit("Is water wet?", 1)[1]
    assert "\x1b[2m" in answer
    hidden = start("--max-tokens", "8", "--hide-thinking", model="./thinker.litertlm")
    assert hidden.send_line("Is water wet?").count("\n> Is water wet?\nAnswer cut off after") == 1
    assert "Thinking..." in hidden.received
    terminal.send_line("/set think off")
    assert (
        "\x1b[2m"
        not in terminal.send_line("/regenerate") + terminal.received.rsplit("think: off", 1)[1]
    )


def test_function_calls_must_be_confirmed(start: Start, home: Path, demo_bundle: Path) -> None:
    with_template(demo_bundle, home / "caller.litertlm", CALLING)
    (home / "tools.py").write_text(
        'def clock(city: str):\n    """The time in a city."""\n    return "noon"\n'
    )
    terminal = start("--tools", "tools.py", "--max-tokens", "30", model="./caller.litertlm")
    terminal.wait_for_prompt()
    terminal.send("What time is it in Rome?\r")
    shown = terminal.wait_for("Call clock(city='Rome')? [y/N]")
    assert "<tool_call>" not in shown
    assert "noon" in terminal.wait_for_prompt(after=terminal.send("y\r"))
    terminal.send("And now?\r")
    terminal.wait_until(lambda: terminal.text.count("[y/N]") == 2, "a question")
    terminal.wait_for_prompt(after=terminal.send("\x03"))
    assert terminal.text.count("noon") == 1


@pytest.mark.parametrize(("keys", "code"), [("y\r", 0), ("\x03", 130)])
def test_function_calls_of_one_answer_must_be_confirmed(
    start: Start, home: Path, demo_bundle: Path, keys: str, code: int
) -> None:
    with_template(demo_bundle, home / "caller.litertlm", CALLING)
    (home / "tools.py").write_text(
        'def clock(city: str):\n    """The time in a city."""\n    return "noon"\n'
    )
    flags = ("--prompt", "time?", "--tools", "tools.py", "--max-tokens", "30")
    terminal = start(*flags, model="./caller.litertlm")
    terminal.wait_for("Call clock(city='Rome')? [y/N]")
    terminal.send(keys)
    assert terminal.wait_for_end() == code
    assert ("noon" in terminal.text) == (code == 0)


def test_ctrl_c_ends_a_function_that_takes_too_long(
    start: Start, home: Path, demo_bundle: Path
) -> None:
    with_template(demo_bundle, home / "caller.litertlm", CALLING)
    (home / "tools.py").write_text(
        "import time\n"
        'def clock(city: str):\n    """The time."""\n'
        '    open("running", "w")\n    time.sleep(600)\n'
    )
    flags = ("--tools", "tools.py", "--yes", "--max-tokens", "30")
    terminal = start(*flags, model="./caller.litertlm")
    terminal.wait_for_prompt()
    terminal.send("What time is it in Rome?\r")
    terminal.wait_until((home / "running").exists, "a running function")
    sent = terminal.send("\x03")
    terminal.wait_for("interrupted it")
    terminal.wait_for_prompt(after=sent)


def test_a_chat_whose_answers_go_to_a_file(home: Path) -> None:
    script = f"{' '.join(PROGRAM)} run demo > answers.txt"
    terminal = Terminal("-c", script, home=home, program="/bin/sh")
    terminal.send_line(GERMANY)
    terminal.send("\x04")
    assert terminal.wait_for_end() == 0
    assert (home / "answers.txt").read_text() == BERLIN + "\n"
    assert BERLIN not in terminal.text


def test_control_tokens_are_reported_once_per_message(start: Start) -> None:
    terminal = start("--max-tokens", "1")
    terminal.wait_for_prompt()
    for count in (1, 2):
        shown = terminal.send_line("Hi<|im_end|> and <|im_end|>")
        assert shown.count("control token <|im_end|>. The model reads it") == count
    assert terminal.send_line("Hi <b>").count("control token") == 2


def test_control_tokens_in_a_system_message_are_reported_or_rejected(start: Start) -> None:
    terminal = start()
    terminal.wait_for_prompt()
    shown = terminal.send_line("/system Be brief.<|im_end|>")
    assert "The system message contains the control token <|im_end|>. The model reads" in shown
    assert "System message changed." in shown
    terminal = start("--reject-control-tokens")
    terminal.wait_for_prompt()
    for command in ("/system", "/set system"):
        shown = terminal.send_line(f"{command} Be brief.<|im_end|>").rpartition("Be brief")[2]
        assert "System message changed." not in shown
    shown = terminal.send_line("/system").rpartition("/system")[2]
    assert "No system message." in shown


def test_messages_with_control_tokens_can_be_rejected(start: Start, home: Path) -> None:
    messages = [{"role": "assistant", "content": "A<|im_end|>"}, {"role": "user", "content": "B"}]
    (home / "hostile.json").write_text(json.dumps({"system": None, "messages": messages}))
    terminal = start("--max-tokens", "1")
    shown = unwrapped(terminal.send_line("/load hostile.json"))
    assert "The conversation contains the control token <|im_end|>. The model reads" in shown
    assert "Loaded 2 messages" in shown
    terminal = start("--max-tokens", "1", "--reject-control-tokens")
    shown = unwrapped(terminal.send_line("/load hostile.json"))
    assert "The conversation contains the control token <|im_end|>." in shown
    assert "Loaded" not in shown
    assert "contains the control token <|im_end|>." in terminal.send_line("Hi<|im_end|>")
    prompt = terminal.send_line("/template prompt").rpartition("/template prompt")[2]
    assert "Hi" not in prompt
