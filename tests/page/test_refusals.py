"""Servers that want a key, are busy, or do not answer."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import BrowserContext, expect

from page.conftest import Chat, PageServer


def test_a_key_is_asked_for_and_forgotten_with_the_tab(
    context: BrowserContext, tmp_path: Path
) -> None:
    with PageServer(tmp_path, api_key="s3cret") as server:
        chat = Chat(context.new_page()).open(server.url)
        problem = chat.page.get_by_role("alert")
        expect(problem).to_contain_text("The server wants an API key")
        for key in ("wrong", "s3cret"):
            chat.button("Enter the API key").click()
            field = chat.page.get_by_label("API key", exact=True)
            expect(field).to_be_focused()
            field.fill(key)
            field.press("Enter")
        expect(problem).to_be_hidden()
        expect(chat.ask("Hi")).to_contain_text("Hello")
        chat.page.reload()
        expect(chat.answers).to_contain_text("Hello")
        expect(problem).to_be_hidden()
        kept = chat.page.evaluate("JSON.stringify([{...localStorage}, location.href])")
        assert "s3cret" not in kept
        other = Chat(context.new_page()).open(server.url)
        expect(other.page.get_by_role("alert")).to_contain_text("The server wants an API key")


def test_a_busy_server_is_asked_again(context: BrowserContext, tmp_path: Path) -> None:
    with PageServer(tmp_path, max_queue=0) as server:
        server.answer("Hello", " world")
        go_on = server.pause()
        first, second = (Chat(context.new_page()).open(server.url) for _ in range(2))
        first.send("Hi")
        expect(first.answers).to_contain_text("Hello")
        second.page.clock.install()
        second.send("Me too")
        expect(second.answers).to_contain_text("The server is busy. Trying again in 2 s.")
        go_on()
        expect(first.ended()).to_contain_text("Hello world")
        second.page.clock.run_for(2000)
        expect(second.ended()).to_contain_text("Hello world")


def test_a_server_that_has_gone_is_found_again(context: BrowserContext, tmp_path: Path) -> None:
    with PageServer(tmp_path) as server:
        chat = Chat(context.new_page())
        chat.page.clock.install()
        chat.open(server.url)
        chat.page.route("**/{api,health}*/**", lambda route: route.abort())
        chat.page.route("**/health", lambda route: route.abort())
        chat.button("Download and delete models").click()
        chat.page.keyboard.press("Escape")
        problem = chat.page.get_by_role("alert")
        expect(problem).to_contain_text("The server does not answer.")
        chat.page.unroute_all()
        chat.page.clock.run_for(3000)
        expect(problem).to_be_hidden()
