"""One browser and two servers for the tests of the page: scripted workers, and the real program."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from fake_worker import END, HELLO, FakeWorkers, models_folder
from litertlm.server.app import create_app
from litertlm.server.guard import Guard
from litertlm.server.run import open_socket
from litertlm.server.state import State
from litertlm.services.serve import Catalog, Manager, ServeOptions, TextPiece
from page.browser import MISSING, find
from tiny.multimodal import write_multimodal_bundle

# Without its sandbox, as root needs it, and without the browser's own network traffic.
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
_TIMEOUT_MS = 30_000  # far more than a busy machine needs


class PageServer:
    """The server on a port, in a thread, with workers that say what a test wants."""

    def __init__(self, home: Path, *, api_key: str | None = None, max_queue: int = 64) -> None:
        self.workers = FakeWorkers(list(HELLO))
        store, settings = models_folder(home, "org/one", "org/two")
        # Everything but its answers is real, also what it takes.
        seeing = store.root / "org" / "seeing"
        seeing.mkdir()
        write_multimodal_bundle(seeing, ("image",)).rename(seeing / "seeing.litertlm")
        self._options = ServeOptions(max_queue=max_queue)
        self._catalog = Catalog(store, settings)
        self._guard = Guard("127.0.0.1", api_key)
        self._socket = open_socket("127.0.0.1", 0)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._ready = threading.Event()

    def __enter__(self) -> PageServer:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        manager = Manager(self._options, start=self.workers)
        app = create_app(State(self._catalog, manager, self._guard))
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        self._ready.set()
        await self._server._serve([self._socket])

    def answer(self, *pieces: str, thinking: str = "") -> None:
        """What the workers say from now on."""
        thoughts = [TextPiece("thinking", thinking)] if thinking else []
        self.workers.events = [*thoughts, *(TextPiece("text", piece) for piece in pieces), END]

    def pause(self) -> Callable[[], None]:
        """Answers stop after their next piece, until what is returned is called."""
        gate = self.workers.gate = asyncio.Event()

        def go_on() -> None:
            self.workers.gate = None
            self._loop.call_soon_threadsafe(gate.set)

        return go_on

    def reset(self) -> None:
        self.workers.events = list(HELLO)
        self.workers.gate = None
        self.workers.requests.clear()
        self.workers.cancelled = 0


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = find()
    if path is None:
        pytest.fail(MISSING)
    with sync_playwright() as playwright:
        expect.set_options(timeout=_TIMEOUT_MS)
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def scripted_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    with PageServer(tmp_path_factory.mktemp("scripted")) as server:
        yield server


@pytest.fixture
def server(scripted_server: PageServer) -> Iterator[PageServer]:
    yield scripted_server
    if scripted_server.workers.gate is not None:
        scripted_server.pause()()
    scripted_server.reset()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser without history, in which nothing but the test's server may be asked."""
    context = browser.new_context(
        viewport={"width": 1100, "height": 760}, reduced_motion="reduce", accept_downloads=True
    )
    context.set_default_timeout(_TIMEOUT_MS)
    with watched(context):
        yield context


class watched:
    """A context whose pages must not fail, ask other hosts or run what is not theirs."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.problems: list[str] = []

    def __enter__(self) -> BrowserContext:
        # What hostile texts call.
        self.context.add_init_script("window.boom = () => { window.boomed = true; };")
        self.context.on("weberror", lambda error: self.problems.append(str(error.error)))
        self.context.on("dialog", lambda dialog: self.problems.append("a dialog"))
        self.context.on("request", self._check)
        return self.context

    def _check(self, request: object) -> None:
        url: str = request.url  # type: ignore[attr-defined]
        if not url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.problems.append(url)

    def __exit__(self, kind: object, *_: object) -> None:
        for page in self.context.pages:
            if kind is None and page.evaluate("window.boomed"):
                self.problems.append("a script of a text ran")
        self.context.close()
        if kind is None:
            assert self.problems == []


@dataclass
class Chat:
    """The page, by what its user does."""

    page: Page

    def open(self, url: str) -> Chat:
        self.page.goto(url)
        self.page.locator("body[data-ready]").wait_for()
        return self

    def send(self, text: str) -> None:
        self.prompt.fill(text)
        self.prompt.press("Enter")

    def ask(self, text: str) -> Locator:
        """Send a message, and wait for the end of its answer."""
        self.send(text)
        return self.ended()

    def ended(self) -> Locator:
        """The last answer, when it has ended."""
        expect(self.button("Send")).to_be_visible()
        answer = self.answers.last
        expect(answer).to_have_attribute("aria-busy", "false")
        return answer

    def button(self, name: str, inside: Locator | None = None) -> Locator:
        return (inside or self.page).get_by_role("button", name=name, exact=True)

    def texts(self) -> list[str]:
        """The messages that are shown."""
        return self.page.locator("article > .text").all_inner_texts()

    @property
    def prompt(self) -> Locator:
        return self.page.get_by_label("Message", exact=True)

    @property
    def answers(self) -> Locator:
        return self.page.locator("article.assistant")

    @property
    def text(self) -> Locator:
        """The text of the last answer, without thoughts."""
        return self.page.locator("article.assistant > .text").last

    @property
    def titles(self) -> Locator:
        return self.page.locator("#conversations a")


@pytest.fixture
def chat(context: BrowserContext, server: PageServer) -> Chat:
    return Chat(context.new_page()).open(server.url)
