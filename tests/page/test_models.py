"""The page with the real program: the demo model, and a download from a local Hub."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from hub.conftest import NO_PROXIES, bundle_bytes
from hub.server import HubServer
from page.conftest import Chat
from server.conftest import running

REPO = "org/small"
FILE = "small.litertlm"
SIZE = 3_000_000


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    folder = tmp_path / "hub"
    (folder / REPO).mkdir(parents=True)
    (folder / REPO / FILE).write_bytes(bundle_bytes(SIZE))
    with HubServer(folder) as server:
        yield server


def test_the_demo_model_and_a_download(
    context: BrowserContext, demo_models: Path, hub: HubServer, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(demo_models, home / "models", copy_function=os.link)
    hub.configure(REPO, hold=SIZE // 2)
    with running(home, "demo", HF_ENDPOINT=hub.url, **NO_PROXIES) as url:
        chat = Chat(context.new_page()).open(url)
        chat.button("System prompt and sampling").click()
        chat.page.get_by_label("Temperature").fill("0")
        chat.page.keyboard.press("Escape")
        answer = chat.ask("What is the capital of France?")
        expect(chat.text).to_contain_text("Paris")
        expect(answer.locator(".stats")).to_have_text(re.compile(r"^[\d.]+ tokens/s · \d+ tokens$"))

        chat.send("Write all numbers from 1 to 1000.")  # until the context is full
        growing = chat.answers.last
        expect(chat.text).not_to_be_empty()
        chat.button("Stop").click()
        expect(growing.locator(".notes")).to_have_text("Stopped.")
        # The server is free at once, and a shorter question takes the place of this one.
        chat.prompt.press("ArrowUp")
        chat.page.get_by_label("Edited message").fill("What is the capital of Italy?")
        chat.page.keyboard.press("Enter")
        chat.ended()
        expect(chat.text).to_contain_text("Rome")
        expect(chat.page.locator(".versions")).to_have_text("2 / 2")

        chat.button("Download and delete models").click()
        dialog = chat.page.get_by_role("dialog")
        expect(chat.button("Download qwen3-0.6b", dialog)).to_be_visible()
        name = dialog.get_by_label("Model to download")
        name.fill(REPO)
        name.press("Enter")
        progress = dialog.get_by_label(f"Download of {REPO}")
        expect(dialog).to_contain_text(re.compile(r"[\d.]+ MB of 3\.0 MB"))
        expect(progress).to_have_attribute("value", re.compile(r"0\.[1-9]\d*"))
        hub.configure(REPO)  # the rest comes
        expect(progress).to_have_count(0)
        expect(dialog).to_contain_text("org/small")
        chat.page.keyboard.press("Escape")
        expect(chat.page.get_by_label("Model", exact=True)).to_have_value(REPO)

        chat.button("Download and delete models").click()
        name.fill("org/missing")
        name.press("Enter")
        expect(dialog.get_by_role("alert")).to_contain_text("No model org/missing on the Hub.")
        chat.button(f"Delete {REPO}", dialog).click()
        chat.button("Delete").click()
        expect(chat.button(f"Delete {REPO}", dialog)).to_have_count(0)
        assert not list((home / "models" / REPO).glob("*.litertlm"))
        chat.page.keyboard.press("Escape")
        expect(chat.page.get_by_label("Model", exact=True)).to_have_value(REPO)
        expect(chat.page.get_by_role("option", name=f"{REPO} (not on the server)")).to_have_count(1)
