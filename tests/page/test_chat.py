"""Chatting: answers as they come, stopping, versions, settings, and what survives a reload."""

from __future__ import annotations

from playwright.sync_api import expect

from litertlm.services.serve import Failed, Finished, TextPiece
from page.conftest import Chat, PageServer

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)


def asked(server: PageServer) -> list[tuple[str, str]]:
    """Roles and texts of the last request."""
    return [(m["role"], m["content"]) for m in server.workers.requests[-1].messages]


def test_an_answer_grows_and_can_be_stopped(chat: Chat, server: PageServer) -> None:
    server.answer("First.\n\n", "Second **bo", "ld**.")
    answer = chat.ask("Hi")
    assert answer.locator(".text p").all_inner_texts() == ["First.", "Second bold."]
    expect(answer.locator(".stats")).to_contain_text("tokens/s · 3 tokens")
    # Nothing that is complete is built again while a later answer grows.
    chat.page.evaluate(
        """() => {
            window.changes = [];
            const seen = (records) => window.changes.push(...records.map((r) => r.target.nodeName));
            const watch = (node) =>
                new MutationObserver(seen).observe(node, {childList: true, subtree: true});
            document.querySelectorAll("article > .text").forEach(watch);
        }"""
    )
    go_on = server.pause()
    server.answer("Hello", " world", " never")
    chat.send("More")
    growing = chat.answers.last
    expect(growing).to_contain_text("Hello")
    expect(growing).to_have_attribute("aria-busy", "true")
    expect(chat.button("Send")).to_be_hidden()
    chat.page.keyboard.press("Escape")
    expect(growing.locator(".notes")).to_have_text("Stopped.")
    assert chat.texts() == ["Hi", "First.\n\nSecond bold.", "More", "Hello"]
    expect(chat.prompt).to_be_focused()
    go_on()
    server.answer("Again.")
    chat.button("Regenerate answer", growing).click()
    expect(chat.ended()).to_contain_text("Again.")
    assert chat.page.evaluate("window.changes") == []
    assert server.workers.cancelled == 1


def test_versions_and_branches_survive_a_reload(chat: Chat, server: PageServer) -> None:
    server.answer("one")
    chat.ask("A")
    server.answer("two")
    chat.ask("B")
    assert asked(server) == [("user", "A"), ("assistant", "one"), ("user", "B")]
    server.answer("uno")
    chat.button("Regenerate answer", chat.answers.first).click()
    chat.ended()
    assert asked(server) == [("user", "A")]
    assert chat.texts() == ["A", "uno"]

    question = chat.page.locator("article.user").first
    question.hover()
    chat.button("Edit message", question).click()
    field = chat.page.get_by_label("Edited message")
    field.fill("Z")
    server.answer("zwei")
    field.press("Enter")
    expect(chat.ended()).to_contain_text("zwei")
    assert chat.texts() == ["Z", "zwei"]

    # Back to the first question: its last shown answer comes with it.
    chat.button("Previous version").first.click()
    assert chat.texts() == ["A", "uno"]
    expect(chat.button("Next version").first).to_be_focused()
    chat.button("Previous version").last.click()
    assert chat.texts() == ["A", "one", "B", "two"]
    expect(chat.page.locator(".versions")).to_have_text(["1 / 2", "1 / 2"])
    expect(chat.titles).to_have_text(["A"])
    chat.page.reload()
    expect(chat.answers).to_have_count(2)
    assert chat.texts() == ["A", "one", "B", "two"]

    chat.button("New chat").click()
    expect(chat.answers).to_have_count(0)
    chat.titles.first.click()
    expect(chat.answers).to_have_count(2)


def test_a_reload_in_the_middle_keeps_what_was_said(chat: Chat, server: PageServer) -> None:
    server.answer("Half", " of it")
    server.pause()
    chat.send("Hi")
    expect(chat.answers).to_contain_text("Half")
    chat.page.reload()
    expect(chat.answers.locator(".notes")).to_have_text("Stopped.")
    assert chat.texts() == ["Hi", "Half"]


def test_another_conversation_while_one_is_answered(chat: Chat, server: PageServer) -> None:
    server.answer("slow", " answer")
    go_on = server.pause()
    chat.send("First")
    expect(chat.answers).to_contain_text("slow")
    chat.button("New chat").click()
    expect(chat.page.get_by_role("img", name="is answering")).to_be_visible()
    expect(chat.answers).to_have_count(0)
    go_on()
    expect(chat.page.get_by_role("img", name="is answering")).to_have_count(0)
    chat.titles.filter(has_text="First").click()
    expect(chat.ended()).to_contain_text("slow answer")


def test_settings_reach_the_model(chat: Chat, server: PageServer) -> None:
    chat.page.get_by_label("Model", exact=True).select_option("org/two")
    chat.button("System prompt and sampling").click()
    form = chat.page.get_by_role("dialog")
    form.get_by_label("System prompt").fill("Be brief.")
    values = {"Temperature": "0.5", "Top-p": "0.9", "Top-k": "40", "Seed": "7"}
    for label, value in {**values, "Maximum tokens": "99"}.items():
        form.get_by_label(label).fill(value)
    chat.page.keyboard.press("Escape")
    expect(chat.button("System prompt and sampling")).to_be_focused()
    chat.ask("Hi")
    assert asked(server) == [("system", "Be brief."), ("user", "Hi")]
    chosen = {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "seed": 7, "max_tokens": 99}
    assert server.workers.requests[-1].options == chosen
    assert server.workers.orders[-1]["name"] == "org/two"
    chat.page.reload()
    chat.button("System prompt and sampling").click()
    expect(form.get_by_label("Top-k")).to_have_value("40")
    form.get_by_label("Top-p").fill("7")  # out of range: not used
    chat.button("Close", form).click()
    chat.ask("More")
    del chosen["top_p"]
    assert server.workers.requests[-1].options == chosen
    # A new conversation has the same settings, until they are reset.
    chat.button("New chat").click()
    chat.button("System prompt and sampling").click()
    expect(form.get_by_label("System prompt")).to_have_value("Be brief.")
    chat.button("Reset", form).click()
    chat.button("Close", form).click()
    chat.ask("Plain")
    assert asked(server) == [("user", "Plain")]
    assert server.workers.requests[-1].options == {}


def test_thoughts_are_folded(chat: Chat, server: PageServer) -> None:
    chat.page.route("**/api/show", lambda route: route.fulfill(json={"capabilities": ["thinking"]}))
    chat.page.reload()
    chat.button("System prompt and sampling").click()
    chat.page.get_by_label("Thinking").select_option("on")
    chat.page.keyboard.press("Escape")
    server.answer("42", thinking="Six times *seven*.")
    answer = chat.ask("What is it?")
    assert server.workers.requests[-1].options == {"think": True}
    thoughts = answer.get_by_text("Six times seven.")
    expect(thoughts).to_be_hidden()
    answer.locator("summary").click()
    expect(thoughts).to_be_visible()
    expect(answer.locator("summary")).to_contain_text("Thought")
    chat.ask("And?")
    assert server.workers.requests[-1].messages[1]["reasoning_content"] == "Six times *seven*."


def test_images_only_for_models_that_take_them(chat: Chat, server: PageServer) -> None:
    attach = chat.button("Attach images")
    expect(attach).to_be_hidden()
    chat.page.get_by_label("Model", exact=True).select_option("org/seeing")
    picture = {"name": "a.png", "mimeType": "image/png", "buffer": PNG}
    expect(attach).to_be_visible()
    with chat.page.expect_file_chooser() as chooser:
        attach.click()
    chooser.value.set_files([picture, {**picture, "name": "b.png"}])
    chat.button("Remove image 2").click()
    chat.ask("What is this?")
    (message,) = server.workers.requests[-1].messages
    assert len(message["images"]) == 1
    chat.page.reload()
    expect(chat.page.get_by_role("img", name="Attached image 1")).to_be_visible()
    broken = {"name": "c.png", "mimeType": "image/png", "buffer": b"no picture"}
    with chat.page.expect_file_chooser() as chooser:
        attach.click()
    chooser.value.set_files(broken)
    expect(chat.page.get_by_role("status")).to_contain_text("c.png is not a picture")


def test_what_the_model_did_not_see_or_say_is_mentioned(chat: Chat, server: PageServer) -> None:
    server.workers.events = [TextPiece("text", "So"), Finished("context", 99, 0, 1, 0.1, 0.2)]
    notes = chat.ask("Hi").locator(".notes")
    expect(notes).to_contain_text("the maximum number of tokens was reached")
    ended = Finished("stop", 99, 0, 1, 0.1, 0.2, dropped_messages=2)
    server.workers.events = [TextPiece("text", "So"), ended]
    notes = chat.ask("And?").locator(".notes")
    expect(notes).to_contain_text("The 2 oldest messages were left out.")
    chat.page.reload()
    expect(chat.answers.last.locator(".notes")).to_contain_text("The 2 oldest messages")


def test_rename_search_and_delete(chat: Chat) -> None:
    chat.ask("Tell me about apples")
    chat.button("New chat").click()
    chat.ask("Something else")
    expect(chat.titles).to_have_text(["Something else", "Tell me about apples"])
    chat.titles.last.hover()
    chat.button("Rename Tell me about apples").click()
    chat.page.get_by_label("Title").fill("Fruit")
    chat.page.keyboard.press("Enter")
    expect(chat.titles).to_have_text(["Something else", "Fruit"])
    chat.page.keyboard.press("Control+k")
    chat.page.keyboard.type("APPLES fru")
    expect(chat.titles).to_have_text(["Fruit"])
    chat.page.keyboard.type("x")
    expect(chat.page.get_by_text("Nothing found.")).to_be_visible()
    chat.page.get_by_label("Search conversations").fill("")
    chat.titles.first.hover()
    chat.button("Delete Something else").click()
    chat.button("Cancel").click()
    expect(chat.titles).to_have_count(2)
    chat.titles.first.hover()
    chat.button("Delete Something else").click()
    chat.button("Delete").click()
    expect(chat.titles).to_have_text(["Fruit"])
    expect(chat.answers).to_have_count(0)  # the deleted conversation was shown


def test_what_fails_is_said_and_can_be_repeated(chat: Chat, server: PageServer) -> None:
    server.workers.events = [*server.workers.events[:1], Failed("Odd", "The model is tired.")]
    answer = chat.ask("Hi")
    expect(answer.get_by_role("alert")).to_contain_text("The model is tired.")
    expect(answer).to_contain_text("Hel")  # what came before is kept
    server.answer("Better.")
    chat.button("Try again").click()
    expect(chat.ended()).to_contain_text("Better.")

    chat.page.route("**/api/chat", lambda route: route.abort())
    answer = chat.ask("Are you there?")
    expect(answer.get_by_role("alert")).to_contain_text("The server does not answer.")
    chat.page.unroute("**/api/chat")
    chat.button("Try again").click()
    expect(chat.ended()).to_contain_text("Better.")
    # The answer that failed before it began is not a version.
    expect(chat.answers.last.locator(".versions")).to_have_count(0)
