"""Workers, queue and lifetimes of models in the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from fake_worker import END, HELLO, FakeWorkers, installed, models_folder
from litertlm.services.serve import Event, Failed, Manager, Request, ServeOptions, TextPiece
from litertlm.services.serve.manager import Busy
from litertlm.store import InstalledModel

ASK = Request(({"role": "user", "content": "Hi"},))


@pytest.fixture
def one(tmp_path: Path) -> InstalledModel:
    models_folder(tmp_path, "org/one", "org/two")
    return installed(tmp_path, "org/one")


@pytest.fixture
def two(tmp_path: Path) -> InstalledModel:
    return installed(tmp_path, "org/two")


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


async def everything(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


async def settle() -> None:
    """Let all tasks run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_worker_is_started_once_and_reused(one: InstalledModel) -> None:
    workers = FakeWorkers(HELLO)

    async def work() -> None:
        manager = Manager(ServeOptions(), start=workers)
        for _ in range(2):
            events = await everything(manager.generate(one, ASK))
            assert [type(event).__name__ for event in events][-1] == "Finished"
        assert len(workers.orders) == 1
        assert workers.orders[0]["name"] == "org/one"
        assert [model.model.name for model in manager.loaded()] == ["org/one"]
        await manager.close()
        assert workers.closed == [0]

    run(work)


def test_requests_wait_in_order_and_the_queue_is_bounded(one: InstalledModel) -> None:
    async def work() -> None:
        workers = FakeWorkers(HELLO, gate=asyncio.Event())
        manager = Manager(ServeOptions(max_queue=2), start=workers)
        tasks = []
        for number in range(3):
            request = Request(({"role": "user", "content": str(number)},))
            tasks.append(asyncio.ensure_future(everything(manager.generate(one, request))))
            await settle()
        assert manager.waiting == 2
        with pytest.raises(Busy):
            await everything(manager.generate(one, ASK))
        assert workers.gate is not None
        workers.gate.set()
        await asyncio.gather(*tasks)
        assert [r.messages[0]["content"] for r in workers.requests] == ["0", "1", "2"]
        assert manager.waiting == 0

    run(work)


def test_parallel_answers_have_workers_of_their_own(one: InstalledModel) -> None:
    async def work() -> None:
        workers = FakeWorkers(HELLO, gate=asyncio.Event())
        manager = Manager(ServeOptions(parallel=2), start=workers)
        tasks = [asyncio.ensure_future(everything(manager.generate(one, ASK))) for _ in range(3)]
        await settle()
        assert len(workers.orders) == 2
        assert manager.waiting == 1
        assert workers.gate is not None
        workers.gate.set()
        await asyncio.gather(*tasks)

    run(work)


def test_a_conversation_goes_to_the_worker_that_has_its_beginning(one: InstalledModel) -> None:
    async def work() -> None:
        workers = FakeWorkers(HELLO, gate=asyncio.Event())
        manager = Manager(ServeOptions(parallel=2), start=workers)
        talks = [({"role": "user", "content": text},) for text in ("a", "b")]
        tasks = [
            asyncio.ensure_future(everything(manager.generate(one, Request(talk))))
            for talk in talks
        ]
        await settle()
        assert workers.gate is not None
        workers.gate.set()
        await asyncio.gather(*tasks)
        for talk in talks:
            longer = (*talk, {"role": "user", "content": "more"})
            worker = await manager._take(one, Request(longer))
            assert worker.last_messages == talk
            manager._release(one, worker, None)

    run(work)


def test_a_client_that_goes_away_cancels_its_answer_and_frees_the_worker(
    one: InstalledModel,
) -> None:
    async def work() -> None:
        workers = FakeWorkers(HELLO)
        manager = Manager(ServeOptions(), start=workers)
        events = manager.generate(one, ASK)
        assert await anext(events) == TextPiece("text", "Hel")
        await events.aclose()  # type: ignore[attr-defined]
        await settle()
        assert workers.cancelled == 1
        assert (await everything(manager.generate(one, ASK)))[-1].reason == END.reason  # type: ignore[union-attr]
        assert len(workers.orders) == 1

    run(work)


def test_a_request_that_is_cancelled_in_the_queue_leaves_it(one: InstalledModel) -> None:
    async def work() -> None:
        workers = FakeWorkers(HELLO, gate=asyncio.Event())
        manager = Manager(ServeOptions(), start=workers)
        first = asyncio.ensure_future(everything(manager.generate(one, ASK)))
        await settle()
        second = asyncio.ensure_future(everything(manager.generate(one, ASK)))
        await settle()
        second.cancel()
        await settle()
        assert manager.waiting == 0
        assert workers.gate is not None
        workers.gate.set()
        await first

    run(work)


@pytest.mark.parametrize("fails", [False, True])
def test_a_client_that_goes_away_leaves_the_loading_model_to_others(
    one: InstalledModel, fails: bool
) -> None:
    async def work() -> None:
        loading = asyncio.get_running_loop().create_future()
        workers = FakeWorkers(HELLO, loading=loading)
        manager = Manager(ServeOptions(), start=workers)
        tasks = [asyncio.ensure_future(everything(manager.generate(one, ASK))) for _ in range(2)]
        await settle()
        tasks[0].cancel()
        await settle()
        assert (len(workers.orders), workers.closed) == (1, [])
        if fails:
            workers.loading = None
            loading.set_exception(Failed("EngineFailed", "No."))
        else:
            loading.set_result(None)
        assert (await tasks[1])[-1] == replace(END, load_s=ANY)
        assert len(workers.orders) == 1 + fails
        await manager.close()
        assert workers.closed == list(range(1 + fails))

    run(work)


def test_a_loading_model_does_not_outlive_the_manager(one: InstalledModel) -> None:
    async def work() -> None:
        workers = FakeWorkers(HELLO, loading=asyncio.get_running_loop().create_future())
        manager = Manager(ServeOptions(), start=workers)
        task = asyncio.ensure_future(everything(manager.generate(one, ASK)))
        await settle()
        task.cancel()
        await settle()
        await manager.close()
        await settle()
        assert workers.closed[0] == 0
        assert manager.loaded() == []

    run(work)


def test_after_a_crash_the_next_request_gets_a_new_worker(one: InstalledModel) -> None:
    async def work() -> None:
        crash = Failed("WorkerCrashed", "The process of the model ended unexpectedly.")
        workers = FakeWorkers([TextPiece("text", "a"), crash])
        manager = Manager(ServeOptions(), start=workers)
        with pytest.raises(Failed, match="ended unexpectedly"):
            await everything(manager.generate(one, ASK))
        assert manager.crashes == 1
        workers.events = HELLO
        await everything(manager.generate(one, ASK))
        assert len(workers.orders) == 2

    run(work)


def test_a_worker_that_ended_while_it_was_idle_is_replaced(one: InstalledModel) -> None:
    async def work() -> None:
        workers = FakeWorkers(HELLO)
        manager = Manager(ServeOptions(), start=workers)
        await everything(manager.generate(one, ASK))
        manager._loaded["org/one"].idle[0].alive = False  # type: ignore[misc]
        await everything(manager.generate(one, ASK))
        assert (len(workers.orders), manager.crashes) == (2, 1)

    run(work)


def test_an_error_of_a_request_keeps_the_worker(one: InstalledModel) -> None:
    async def work() -> None:
        workers = FakeWorkers([Failed("UsageError", "No.")])
        manager = Manager(ServeOptions(), start=workers)
        for _ in range(2):
            with pytest.raises(Failed):
                await everything(manager.generate(one, ASK))
        assert len(workers.orders) == 1

    run(work)


def test_an_unused_model_makes_room_for_another(one: InstalledModel, two: InstalledModel) -> None:
    async def work() -> None:
        workers = FakeWorkers(HELLO)
        manager = Manager(ServeOptions(max_loaded=1), start=workers)
        await everything(manager.generate(one, ASK))
        await everything(manager.generate(two, ASK))
        await settle()
        assert [model.model.name for model in manager.loaded()] == ["org/two"]
        assert workers.closed == [0]

    run(work)


def test_a_model_in_use_is_waited_for(one: InstalledModel, two: InstalledModel) -> None:
    async def work() -> None:
        workers = FakeWorkers(HELLO, gate=asyncio.Event())
        manager = Manager(ServeOptions(max_loaded=1), start=workers)
        tasks = []
        # The third comes after the second, which waits for the model of the first to go.
        for model in (one, two, one):
            tasks.append(asyncio.ensure_future(everything(manager.generate(model, ASK))))
            await settle()
        assert len(workers.orders) == 1
        assert workers.gate is not None
        workers.gate.set()
        await asyncio.gather(*tasks)
        assert [order["name"] for order in workers.orders] == ["org/one", "org/two", "org/one"]

    run(work)


@pytest.mark.parametrize(("keep_alive_s", "names"), [(0.0, []), (-1.0, ["org/one"])])
def test_keep_alive(one: InstalledModel, keep_alive_s: float, names: list[str]) -> None:
    async def work() -> None:
        manager = Manager(ServeOptions(), start=FakeWorkers(HELLO))
        await everything(manager.generate(one, ASK, keep_alive_s=keep_alive_s))
        await settle()
        if keep_alive_s == 0:
            while manager.loaded():
                await asyncio.sleep(0.001)
        assert [model.model.name for model in manager.loaded()] == names

    run(work)


def test_a_model_without_memory_is_refused(
    one: InstalledModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        manager = Manager(ServeOptions(), start=FakeWorkers(HELLO))
        with pytest.raises(Exception, match="Not enough memory for org/one"):
            await everything(manager.generate(one, ASK))

    monkeypatch.setattr("litertlm.services.serve.manager.free_memory", lambda: 1000)
    run(work)
