"""Images and audio in a chat: the real program and runtime, with a tiny multimodal model.

What the model should say comes from the runtime's own Conversation, which renders the bundle's
template itself.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import litert_lm
import pytest
from terminal import Terminal, unwrapped

from program import Ended, run_program
from tiny.media import BLUE, RED, RED_GIF, RED_JPEG, TONE_FLAC, TONE_MP3, bmp, png, tone
from tiny.multimodal import TOKENS, write_multimodal_bundle

MODEL = "./multimodal.litertlm"
QUESTION = "what is this?"
GREEDY = ("--temperature", "0", "--max-tokens", "24", "--plain")
Start = Callable[..., Terminal]
Ask = Callable[..., str]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that supports both."""
    return write_multimodal_bundle(tmp_path_factory.mktemp("multimodal"))


@pytest.fixture
def home(bundle: Path, tmp_path: Path) -> Path:
    """A home with the bundle, images and an audio file."""
    os.link(bundle, tmp_path / bundle.name)
    (tmp_path / "tone.wav").write_bytes(tone())
    (tmp_path / "red.png").write_bytes(png(RED))
    (tmp_path / "blue.png").write_bytes(png(BLUE))
    return tmp_path


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Start chats in pseudo-terminals, which are closed after the test."""
    started: list[Terminal] = []

    def run(*arguments: str) -> Terminal:
        started.append(Terminal("run", MODEL, *GREEDY, *arguments, home=home))
        return started[-1]

    yield run
    for terminal in started:
        terminal.close()


@pytest.fixture(scope="session")
def expected(bundle: Path) -> Iterator[Ask]:
    """The runtime's own answer to the last of some messages, each with files and a text."""
    litert_lm.set_min_log_severity(litert_lm.LogSeverity.ERROR)
    cpu = litert_lm.Backend.CPU()
    sampler = litert_lm.SamplerConfig(temperature=1.0, top_k=1, top_p=1.0, seed=0)
    engine = litert_lm.Engine(
        str(bundle), backend=cpu, vision_backend=cpu, audio_backend=cpu, cache_dir=":nocache"
    )

    def answer(*messages: tuple[list[bytes], str], limit: int = 24) -> str:
        said: list[litert_lm.Message] = []
        for files, text in messages:
            parts = [_content(data) for data in files]
            user = litert_lm.Message.user(litert_lm.Contents.of(*parts, text))
            # A new one for each: it renders what was said before as the end of its turn, also
            # where an answer was cut off.
            with engine.create_conversation(
                messages=said, sampler_config=sampler, max_output_tokens=limit
            ) as talk:
                said += [user, talk.send_message(user)]
        return str(said[-1])

    with engine:
        yield answer


def _content(data: bytes) -> litert_lm.Content:
    sound = data.startswith((b"RIFF", b"fLaC", b"\xff\xf3"))
    return litert_lm.Content.AudioBytes(data) if sound else litert_lm.Content.ImageBytes(data)


def ask(home: Path, *arguments: str) -> Ended:
    return run_program("run", MODEL, *GREEDY, "--prompt", QUESTION, *arguments, home=home)


@pytest.mark.parametrize(("one", "other"), [(png(RED), png(BLUE)), (tone(32), tone(8))])
def test_an_answer_depends_on_the_file(home: Path, one: bytes, other: bytes, expected: Ask) -> None:
    (home / "one").write_bytes(one)
    (home / "other").write_bytes(other)
    answers = [ask(home, "--attach", name).out for name in ("one", "other")]
    answers.append(ask(home).out)
    assert len(set(answers)) == 3
    for answer, files in zip(answers, ([one], [other], []), strict=True):
        assert answer.strip() == expected((files, QUESTION)).strip()


@pytest.mark.parametrize(
    ("data", "same"),
    [
        (bmp(RED), png(RED)),
        (RED_GIF, png(RED)),
        (png(RED, 40), png(RED)),
        (RED_JPEG, RED_JPEG),
        (TONE_FLAC, tone()),
        (TONE_MP3, TONE_MP3),
    ],
    ids=["bmp", "gif", "larger", "jpeg", "flac", "mp3"],
)
def test_each_format_is_understood(home: Path, data: bytes, same: bytes, expected: Ask) -> None:
    (home / "file").write_bytes(data)
    assert ask(home, "--attach", "file").out.strip() == expected(([same], QUESTION)).strip()


def test_several_files_in_their_order(home: Path, expected: Ask) -> None:
    one = ask(home, "--attach", "red.png", "--attach", "blue.png").out
    other = ask(home, "--attach", "blue.png", "--attach", "red.png").out
    assert one != other
    assert one.strip() == expected(([png(RED), png(BLUE)], QUESTION)).strip()
    both = ask(home, "--attach", "tone.wav", "--attach", "red.png").out
    assert both.strip() == expected(([tone(), png(RED)], QUESTION)).strip()


def test_json_names_the_files_and_counts_them(home: Path) -> None:
    plain, seen = (
        json.loads(ask(home, "--json", *more).out) for more in ((), ("--attach", "red.png"))
    )
    assert "attached" not in plain
    assert seen["attached"] == ["red.png"]
    assert seen["prompt_tokens"] > plain["prompt_tokens"] + TOKENS


def test_a_schema_holds_with_an_image(home: Path) -> None:
    ended = ask(home, "--attach", "red.png", "--schema", "any.json")
    assert ended.code == 2
    (home / "any.json").write_text('{"type": "boolean"}')
    assert ask(home, "--attach", "red.png", "--schema", "any.json").out.strip() in ("true", "false")


def test_a_chat_about_images_and_sound(start: Start, expected: Ask) -> None:
    # Short answers: a long one of a random model has other tokens when its text is read again.
    terminal = start("--max-tokens", "2")
    shown = terminal.send_line("/attach red.png")
    assert "Attached red.png (0.1 kB) to the next message." in shown
    assert terminal.cursor_line.startswith("[1 file] >")
    asked: list[tuple[list[bytes], str]] = []
    for files in ([png(RED)], [], [tone(), png(BLUE)]):
        if len(files) == 2:
            terminal.send_line("/attach tone.wav")
            terminal.send_line("/attach blue.png")
        asked.append((files, QUESTION))
        shown = terminal.send_line(QUESTION)
        assert shown.splitlines()[-3].strip() == expected(*asked, limit=2).strip()
        assert terminal.cursor_line.startswith("> ")


def test_attachments_are_listed_and_removed(start: Start, expected: Ask) -> None:
    terminal = start("--attach", "red.png")
    terminal.wait_for_prompt()
    assert terminal.cursor_line.startswith("[1 file] >")
    terminal.send_line("/attach blue.png")
    assert terminal.cursor_line.startswith("[2 files] >")
    assert re.search(r"^red\.png\n/.*/?blue\.png$", unwrapped(terminal.send_line("/attach")), re.M)
    assert "No attachments." in terminal.send_line("/attach none")
    assert expected(([], QUESTION)).strip() in terminal.send_line(QUESTION)


def test_an_edited_message_keeps_its_files(start: Start, expected: Ask) -> None:
    terminal = start("--attach", "red.png")
    terminal.send_line("no")
    terminal.send("/edit\r")
    terminal.wait_for("[1 file] > no")
    terminal.send(f"\x7f\x7f{QUESTION}\r")
    terminal.wait_for(expected(([png(RED)], QUESTION)).strip())


def test_another_file_with_the_same_text_is_prefilled_again(start: Start, expected: Ask) -> None:
    terminal = start("--attach", "red.png")
    terminal.send_line(QUESTION)
    terminal.send_line("/undo")
    terminal.send_line("/attach blue.png")
    assert expected(([png(BLUE)], QUESTION)).strip() in terminal.send_line(QUESTION)


def test_a_conversation_with_files_is_saved_and_loaded(
    start: Start, home: Path, expected: Ask
) -> None:
    terminal = start("--attach", "red.png")
    terminal.send_line(QUESTION)
    terminal.send_line("/save talk.json")
    again = start()
    assert "Loaded 2 messages" in again.send_line("/load talk.json")
    second = expected(([png(RED)], QUESTION), ([], "and now?"))
    assert second.strip() in again.send_line("and now?")
    (home / "red.png").unlink()
    assert "No such file" in again.send_line("/load talk.json")
    for number, files in enumerate(('"red.png"', "[1]", "{}"), 1):
        message = f'{{"role": "user", "content": "a", "attachments": {files}}}'
        (home / "bad.json").write_text(f'{{"messages": [{message}]}}')
        shown = unwrapped(again.send_line("/load bad.json"))
        assert shown.count("bad.json is not a saved conversation.") == number


def test_tab_completes_the_file(start: Start) -> None:
    terminal = start()
    terminal.wait_for_prompt()
    terminal.send("/attach bl\t")
    terminal.wait_for("/attach blue.png")
    terminal.send("\r")
    terminal.wait_for("Attached blue.png (0.1 kB) to the next message.")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("missing.png", None, "No such file"),
        ("folder", None, "is a folder."),
        ("empty.png", b"", "It is empty. Supported are PNG, JPEG, BMP, GIF, WAV,"),
        ("text.png", b"hello", "It is not a known image or audio format."),
        ("a.webp", b"RIFF\0\0\0\0WEBPVP8 ", "It is a WebP image."),
        ("a.ogg", b"OggS", "It is an Ogg file."),
        ("large.png", png(RED) + bytes(33_000_000), "It has 33.0 MB; the maximum is 32 MB."),
    ],
)
def test_unsupported_attachments(
    start: Start, home: Path, name: str, data: bytes | None, words: str, expected: Ask
) -> None:
    (home / "folder").mkdir()
    if data is not None:
        (home / name).write_bytes(data)
    terminal = start()
    shown = " ".join(unwrapped(terminal.send_line(f"/attach {name}")).split())
    assert words in shown
    assert terminal.cursor_line.startswith("> ")
    ended = ask(home, "--attach", name)
    assert (ended.code, ended.out) == (2, "")


def test_a_message_stopped_before_its_answer_keeps_its_attachments(
    start: Start, home: Path
) -> None:
    # So many pixels take seconds to decode.
    (home / "large.png").write_bytes(png(RED, 5000))
    terminal = start(*("--attach", "large.png") * 8)
    terminal.wait_for_prompt()
    terminal.send(QUESTION + "\r")
    terminal.wait_until(lambda: not terminal.cursor_line.strip(), "a new line")
    terminal.settled(0.1)
    terminal.send("\x03")
    terminal.wait_for("Stopped.")
    terminal.wait_until(lambda: terminal.cursor_line.startswith("[8 files] >"), "the files")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png(RED)[:60], "The attached image cannot be decoded."),
        (b"RIFF\0\0\0\0WAVE", "The attached audio cannot be decoded."),
    ],
)
def test_a_damaged_file_is_reported_and_the_chat_continues(
    start: Start, home: Path, data: bytes, words: str, expected: Ask
) -> None:
    (home / "damaged").write_bytes(data)
    ended = ask(home, "--attach", "damaged")
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err
    terminal = start("--attach", "damaged")
    assert words in terminal.send_line(QUESTION)
    terminal.send_line("/attach blue.png")
    assert expected(([png(BLUE)], QUESTION)).strip() in terminal.send_line(QUESTION)


def test_attachments_longer_than_the_context(home: Path) -> None:
    # What the text alone is too long for, and what only the images are too many for.
    for count in (40, 15):
        ended = ask(home, *("--attach", "red.png") * count)
        assert (ended.code, ended.out) == (2, "")
        assert re.search(r"The prompt has \d{3} tokens; the context has 512\.", ended.err)


def test_the_oldest_images_are_left_out_when_the_context_is_full(start: Start) -> None:
    terminal = start("--context", "160", "--max-tokens", "1")
    for number in range(6):
        terminal.send_line("/attach red.png")
        shown = terminal.send_line(f"{number}?")
        assert "✗" not in shown
    assert shown.count("no longer fits the context of 160 tokens") == 1


def test_raw_does_not_support_attachments(start: Start, home: Path) -> None:
    ended = ask(home, "--raw", "--attach", "red.png")
    assert (ended.code, ended.out) == (2, "")
    assert "--raw does not support --attach." in ended.err
    assert "--raw does not support attachments." in start("--raw").send_line("/attach red.png")


def test_a_text_model_is_not_loaded(demo_home: Path) -> None:
    (demo_home / "red.png").write_bytes(png(RED))
    ended = run_program("run", "demo", "--prompt", "Hi", "--attach", "red.png", home=demo_home)
    assert (ended.code, ended.out) == (7, "")
    assert "does not support images or audio." in ended.err


@pytest.mark.parametrize(
    ("kind", "wrong", "words"),
    [
        ("image", "tone.wav", "does not support audio."),
        ("audio", "red.png", "does not support images."),
    ],
)
def test_a_model_that_supports_one_kind_only(home: Path, kind: str, wrong: str, words: str) -> None:
    (home / MODEL).unlink()  # the other tests' bundle, by another name
    write_multimodal_bundle(home, [kind])
    ended = ask(home, "--attach", wrong)
    assert (ended.code, ended.out) == (7, "")
    assert words in ended.err
    right = {"red.png": "tone.wav", "tone.wav": "red.png"}[wrong]
    assert ask(home, "--attach", right).code == 0
