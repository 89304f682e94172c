"""Texts that try to be more than text: from a model, in names, and in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from page.conftest import Chat, PageServer

HOSTILE_NAME = "<img src=x onerror=boom()>"
MARKUP = (
    "<script>boom()</script>",
    HOSTILE_NAME,
    "<svg onload=boom()><animate onbegin=boom() attributeName=x dur=1s>",
    "<iframe srcdoc='<script>parent.boom()</script>'></iframe>",
    "<details open ontoggle=boom()>x</details>",
    "<a href='javascript:boom()'>click</a>",
    "<style>@import url(http://192.0.2.1/x.css); body {display: none}</style>",
    "<base href=http://192.0.2.1/><form action=http://192.0.2.1/><input name=q></form>",
    "<math><mtext><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=boom()&gt;'>",
    "<meta http-equiv=refresh content='0;url=http://192.0.2.1/'>",
    "<input autofocus onfocus=boom()>",
    "<video><source onerror=boom()></video><object data=javascript:boom()></object>",
    "--><!--><img src=x onerror=boom()>",
    "</textarea></title></article><img src=x onerror=boom()>",
)
MARKDOWN = (
    "[a](javascript:boom())",
    "[b](java\nscript:boom())",
    "[c](JaVaScRiPt&colon;boom())",
    "[d](&#106;avascript:boom())",
    "[e](data:text/html;base64,PHNjcmlwdD5ib29tKCk8L3NjcmlwdD4=)",
    "[f](vbscript:boom())",
    "[g](/api/delete)",
    "[h](//192.0.2.1/x)",
    '[i](http://192.0.2.1/ "x\\" onmouseover=\\"boom()")',
    "![j](http://192.0.2.1/track.png?secret)",
    '![k](x"onerror="boom())',
    "<javascript:boom()>",
    "<http://192.0.2.1/<img/src=x/onerror=boom()>>",
    "[l]: javascript:boom()\n\n[l]",
    "`<img src=x onerror=boom()>` **<img src=x onerror=boom()>**",
    "| <img src=x onerror=boom()> | [m](javascript:boom()) |\n|--|--|\n| <script>boom()</script> |",
    "# <img src=x onerror=boom()>\n\n> <script>boom()</script>\n\n- [ ] <img src=x onerror=boom()>",
    "```<img/src=x/onerror=boom()>\n</code></pre><img src=x onerror=boom()>\n```",
    "```js\n'<img src=x onerror=boom()>' // </script><script>boom()</script>\n```",
    '```html\n<img src="x" onerror="boom()"><!--\n```',
    "&lt;img src=x onerror=boom()&gt; &#60;script&#62;boom()&#60;/script&#62;",
    "a\x00b\u202e\ufeff\x1b[31m<img src=x onerror=boom()>",
)
DEEP = (
    "```js\n" + '"\\' * 20_000 + "\n```",
    ">" * 20_000,
    "*a **b " * 2_000,
    "[" * 9_000,
    "|a" * 500 + "|\n" + "|-" * 500,
)
# What Markdown may become, and the page's own buttons and icons.
ALLOWED = {
    *("A", "P", "BR", "HR", "UL", "OL", "LI", "EM", "STRONG", "DEL", "CODE", "PRE", "BLOCKQUOTE"),
    *("TABLE", "THEAD", "TBODY", "TR", "TH", "TD", "DIV", "SPAN", "BUTTON", "svg", "use"),
    *("H2", "H3", "H4", "H5", "H6", "ARTICLE", "DETAILS", "SUMMARY"),
}
COLLECT = """() => [...document.querySelectorAll("#messages *, #conversations *")].map((node) => ({
    name: node.nodeName,
    attributes: [...node.attributes].map(({name, value}) => [name, value]),
}))"""


def assert_only_text(page: Page) -> None:
    """No element, listener or address came from a text."""
    found: list[dict[str, Any]] = page.evaluate(COLLECT)
    assert {node["name"] for node in found} <= ALLOWED
    for node in found:
        for name, value in node["attributes"]:
            assert not name.startswith("on")
            assert name not in {"src", "style", "srcdoc", "action", "formaction"}
            if name == "href":
                assert value.startswith(("#", "http://192.0.2.1/"))


def test_what_a_model_says_stays_text(chat: Chat, server: PageServer) -> None:
    for number, text in enumerate(("\n\n".join(MARKUP + MARKDOWN), *DEEP)):
        # Token by token, as it would come: every beginning of a text is shown as well.
        step = 7 if number == 0 else len(text)
        pieces = [text[at : at + step] for at in range(0, len(text), step)]
        server.answer(*pieces, thinking=text)
        answer = chat.ask("Say it")
        answer.locator("summary").click()
    shown = chat.answers.first.inner_text()
    for markup in (*MARKUP, "</code></pre><img src=x onerror=boom()>"):
        assert markup in shown
    assert_only_text(chat.page)
    # Links that are left lead where they say.
    links = chat.answers.first.locator("a")
    assert {link.get_attribute("title") for link in links.all()} == {
        link.get_attribute("href") for link in links.all()
    }
    # Stored and shown again.
    chat.page.reload()
    expect(chat.answers).to_have_count(1 + len(DEEP))
    assert_only_text(chat.page)


def test_names_titles_and_errors_stay_text(chat: Chat) -> None:
    name = f"org/{HOSTILE_NAME}"
    # No model on disk can have such a name; another server might say so.
    tags = {"models": [{"name": name, "size": 1}]}
    chat.page.route("**/api/tags", lambda route: route.fulfill(json=tags))
    chat.page.reload()
    expect(chat.page.get_by_label("Model", exact=True)).to_have_value(name)
    answer = chat.ask(f"{MARKUP[0]} {HOSTILE_NAME}")
    expect(answer.get_by_role("alert")).to_contain_text(HOSTILE_NAME)
    assert MARKUP[0] in chat.titles.first.inner_text()
    chat.titles.first.hover()
    chat.page.locator("#conversations").get_by_role("button").first.click()
    chat.page.get_by_label("Title").fill("".join(MARKUP[-3:]))
    chat.page.keyboard.press("Enter")
    expect(chat.titles.first).to_contain_text(MARKUP[-1])
    chat.button("Models", answer).click()
    dialog = chat.page.get_by_role("dialog").first
    expect(dialog).to_contain_text(HOSTILE_NAME)
    chat.button(f"Delete {name}", dialog).click()
    chat.button("Delete").click()
    expect(dialog.get_by_role("alert")).to_contain_text(HOSTILE_NAME)
    wanted = dialog.get_by_label("Model to download")
    wanted.fill(HOSTILE_NAME)
    wanted.press("Enter")
    expect(dialog).to_contain_text("Not a model name")
    assert chat.page.locator("img, script:not([src]), style, iframe").count() == 0
    assert_only_text(chat.page)


def message(**fields: Any) -> dict[str, Any]:
    return {"id": "m", "parent": None, "role": "user", "text": HOSTILE_NAME, **fields}


def exported(**fields: Any) -> dict[str, Any]:
    one = {"title": HOSTILE_NAME, "messages": [message()], "chosen": "m", **fields}
    return {"format": "litert-lm-cli conversations", "version": 1, "conversations": [one]}


REFUSED = {
    "not json": "not JSON",
    "[]": "not an export",
    json.dumps({**exported(), "version": 2}): "newer version",
    json.dumps(exported(messages=None)): "without messages",
    json.dumps(exported(messages=[message(parent="m")])): "without the one before it",
    json.dumps(exported(messages=[message(), message()])): "an id of its own",
    json.dumps(exported(messages=[message(role="system")])): "neither of the user",
    json.dumps(
        exported(messages=[message(images=[{"type": "image/svg+xml", "data": "PHN2Zz4="}])])
    ): "not a picture",
    json.dumps(
        exported(messages=[message(images=[{"type": "image/png", "data": '"onerror=boom()'}])])
    ): "not a picture",
}


def take(chat: Chat, content: str) -> None:
    file = {"name": "x.json", "mimeType": "application/json", "buffer": content.encode()}
    chat.page.locator("#import-file").set_input_files(file)


def test_a_file_is_checked_before_it_is_taken(chat: Chat) -> None:
    for content, why in REFUSED.items():
        take(chat, content)
        expect(chat.page.get_by_role("status")).to_contain_text(why)
        chat.page.evaluate("document.getElementById('toasts').replaceChildren()")
    expect(chat.titles).to_have_count(0)
    odd = exported(
        id="../x",
        model=["m"],
        system={"a": 1},
        sampling={"temperature": "hot", "top_k": 1.5, "seed": -1, "__proto__": {"x": 1}},
        messages=[
            message(id="__proto__", onclick="boom()", status="streaming", stats={"speed": "<b>"}),
            message(id="m", parent="__proto__", role="assistant", text="\n\n".join(MARKUP)),
        ],
        chosen="nowhere",
    )
    take(chat, json.dumps(odd))
    expect(chat.answers).to_have_count(1)
    assert chat.titles.all_inner_texts() == [HOSTILE_NAME]
    assert_only_text(chat.page)
    chat.button("System prompt and sampling").click()
    assert {
        field.input_value() for field in chat.page.locator("dialog input[type=number]").all()
    } == {""}


def test_export_and_import_are_inverse(chat: Chat, server: PageServer, tmp_path: Path) -> None:
    server.answer("one", thinking="hm")
    chat.ask("A")
    chat.button("Regenerate answer").click()
    chat.ended()
    chat.button("New chat").click()
    chat.ask("B")

    def export_all() -> dict[str, Any]:
        chat.button("Preferences").click()
        with chat.page.expect_download() as download:
            chat.button("Export all").click()
        chat.page.keyboard.press("Escape")
        path = tmp_path / "export.json"
        download.value.save_as(path)
        return json.loads(path.read_text())  # type: ignore[no-any-return]

    first = export_all()
    chat.button("Preferences").click()
    chat.button("Delete all").click()
    chat.button("Delete all").last.click()
    expect(chat.titles).to_have_count(0)
    take(chat, json.dumps(first))
    expect(chat.titles).to_have_count(2)
    second = export_all()

    def without_ids(value: Any) -> Any:
        if isinstance(value, dict):
            kept = {k: without_ids(v) for k, v in value.items()}
            return {
                k: v for k, v in kept.items() if k not in {"id", "parent", "chosen", "exported"}
            }
        return [without_ids(item) for item in value] if isinstance(value, list) else value

    def by_title(data: dict[str, Any]) -> list[Any]:
        return sorted(without_ids(data)["conversations"], key=lambda each: each["title"])

    assert by_title(second) == by_title(first)
    chat.titles.filter(has_text="A").click()
    expect(chat.page.locator(".versions")).to_have_text("2 / 2")
