"""The page for everyone: by keyboard, by screen reader, on narrow screens, in both themes."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from page.conftest import Chat, PageServer

RICH = (
    "# Title\n\nText with `code`, a [link](https://example.com/) and **bold**.\n\n"
    "```python\ndef f(x):  # a comment\n    return Odd('x') + " + "1 + " * 60 + "1\n```\n\n"
    "| a | b | c | d | e | f |\n|---|---|---|---|---|---|\n" + "| wide cell " * 6 + "|\n\n"
    "- [x] one\n- two\n  1. three\n\n> quote\n\n" + "word" * 60
)


def violations(page: Page) -> list[tuple[str, Any]]:
    """What axe-core finds."""
    found = Axe().run(page).response["violations"]
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]


def test_by_keyboard_alone(chat: Chat, server: PageServer) -> None:
    keys = chat.page.keyboard
    expect(chat.prompt).to_be_focused()
    keys.type("First line")
    keys.press("Shift+Enter")
    keys.type("second line")
    keys.press("Enter")
    chat.ended()
    assert chat.texts()[0] == "First line\nsecond line"
    expect(chat.prompt).to_be_focused()
    keys.press("ArrowUp")
    expect(chat.page.get_by_label("Edited message")).to_be_focused()
    keys.press("Escape")
    expect(chat.button("Edit message")).to_be_focused()
    keys.press("Enter")
    keys.type("!")
    keys.press("Tab")
    expect(chat.button("Cancel")).to_be_focused()
    keys.press("Tab")
    keys.press("Enter")
    chat.ended()
    assert chat.texts()[0] == "First line\nsecond line!"
    # What can be used has a place in the order, and one that can be seen.
    order: list[list[str]] = []
    chat.button("New chat").focus()
    while len(order) < 30:
        focused = chat.page.evaluate(
            """() => {
                const node = document.activeElement;
                const label = node.getAttribute("aria-label") ?? node.innerText ?? "";
                return [label.trim(), getComputedStyle(node).outlineStyle];
            }"""
        )
        order.append(focused)
        keys.press("Tab")
    labels = [label for label, _ in order]
    wanted = ["New chat", "Preferences", "Conversations", "Model", "System prompt and sampling"]
    wanted += ["Messages", "Edit message", "Regenerate answer", "Message"]
    assert [label for label in labels[: labels.index("Send")] if label in wanted] == wanted
    keys.press("Control+Shift+O")
    expect(chat.answers).to_have_count(0)
    expect(chat.prompt).to_be_focused()
    for name in ("Preferences", "Download and delete models", "System prompt and sampling"):
        chat.button(name).press("Enter")
        expect(chat.page.get_by_role("dialog")).to_be_visible()
        keys.press("Escape")
        expect(chat.button(name)).to_be_focused()


def test_a_screen_reader_hears_blocks_and_no_tokens(chat: Chat, server: PageServer) -> None:
    chat.page.evaluate(
        """() => {
            window.heard = [];
            const seen = (records) => records.forEach((record) =>
                record.addedNodes.forEach((node) => window.heard.push(node.textContent)));
            new MutationObserver(seen).observe(
                document.getElementById("announcer"), {childList: true, subtree: true});
        }"""
    )
    server.answer("One ", "and", " two.", "\n\n- th", "ree\n\n", "Four", ".")
    chat.ask("Hi")
    heard = chat.page.evaluate("window.heard")
    assert heard == ["Answering", "One and two.", "- three", "Four.", "Answer complete"]
    live = chat.page.locator("[aria-live]:not([aria-live=off])")
    assert [node.get_attribute("id") for node in live.all()] == ["announcer"]


def test_narrow_and_wide_light_and_dark(chat: Chat, server: PageServer) -> None:
    page = chat.page
    server.answer(RICH, thinking="Hm.")
    chat.ask("word" * 60)
    chat.answers.first.locator("summary").click()
    expect(chat.text.locator(".code-comment")).to_have_text("# a comment")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert violations(page) == []
    dark = "getComputedStyle(document.documentElement).backgroundColor"
    background = page.evaluate(dark)

    page.set_viewport_size({"width": 360, "height": 640})
    expect(page.locator("#sidebar")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    for name in ("#main", "#scroller", "#messages"):
        box = page.locator(name).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
    assert page.evaluate("document.getElementById('scroller').scrollWidth") <= 360
    assert violations(page) == []
    chat.button("Conversations").click()
    expect(chat.button("New chat")).to_be_focused()
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#sidebar")).to_be_hidden()
    chat.button("Conversations").click()
    chat.titles.first.click()  # opens it and leaves the list
    expect(page.locator("#sidebar")).to_be_hidden()

    chat.button("Conversations").click()
    chat.button("Preferences").click()
    page.get_by_label("Theme").select_option("light")
    assert violations(page) == []
    assert page.evaluate(dark) != background
    page.reload()
    page.locator("body[data-ready]").wait_for()
    assert page.evaluate(dark) != background


def test_copying_and_long_conversations(chat: Chat, server: PageServer) -> None:
    chat.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    server.answer("Look:\n\n```sh\nls <dir>\n```\n\n" + "More.\n\n" * 60)
    answer = chat.ask("Hi")
    chat.button("Copy code", answer).click()
    assert chat.page.evaluate("navigator.clipboard.readText()") == "ls <dir>"
    chat.button("Copy message", answer).click()
    assert chat.page.evaluate("navigator.clipboard.readText()").startswith("Look:\n\n```sh\n")
    # The end is in view while an answer grows, unless its reader looks at something else.
    end = chat.button("Go to the end")
    expect(end).to_be_hidden()
    chat.page.locator("#scroller").hover()
    chat.page.mouse.wheel(0, -2000)
    expect(end).to_be_visible()
    end.click()
    expect(end).to_be_hidden()
    expect(chat.button("Regenerate answer")).to_be_in_viewport()
