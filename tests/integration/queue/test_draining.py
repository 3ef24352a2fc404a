"""How a worker ends: it takes no more, lets finish what runs, and does not wait for ever."""

import asyncio
import signal
import time
from importlib import import_module
from typing import Any

import pytest

from service.config import BROKER_DATABASE
from service.errors import WorkerNameTakenError
from service.queue.broker import Broker
from service.queue.delivery import payload_key
from tests.integration.queue.serving import Record, call, calls, depth, serving
from tests.servers import redis_client
from tests.waiting import until

_BlockingRedis: Any = import_module("redis").Redis

SOON_SECONDS = 5.0


class Hooks:
    """Notes which of a worker's hooks were called."""

    def __init__(self, overdue: Record | None = None) -> None:
        self.called: list[str] = []
        self._overdue = overdue

    async def drain(self, _: dict[str, object]) -> None:
        """Be told that no more are taken."""
        self.called.append("drain")

    async def overdue(self, _: dict[str, object]) -> None:
        """End what still runs."""
        self.called.append("overdue")
        if self._overdue is not None:
            self._overdue.open()

    async def end(self, _: dict[str, object]) -> None:
        """Be told that all is over."""
        self.called.append("end")


async def test_what_runs_may_finish_and_nothing_more_is_taken(
    broker: Broker, redis_url: str
) -> None:
    record, hooks = Record(is_open=False), Hooks()
    async with serving(
        broker,
        [record.note],
        max_jobs=2,
        drain_seconds=60,
        on_drain=hooks.drain,
        on_overdue=hooks.overdue,
        on_shutdown=hooks.end,
    ) as worker:
        await broker.deliver(calls(2))
        await record.heard(2)
        worker.handle_sig(signal.SIGTERM)
        await until(lambda: hooks.called, what="the drain")
        await broker.deliver([call("late", "late")])
        record.open()
    assert record.calls == [0, 1]
    assert await depth(redis_url) == 1
    assert hooks.called == ["drain", "end"]


async def test_what_runs_for_too_long_is_told_to_end(broker: Broker) -> None:
    record = Record(is_open=False)
    hooks = Hooks(record)
    async with serving(
        broker,
        [record.note],
        drain_seconds=0.1,
        on_drain=hooks.drain,
        on_overdue=hooks.overdue,
        on_shutdown=hooks.end,
    ):
        await broker.deliver(calls(1))
        await record.heard(1)
    assert hooks.called == ["drain", "overdue", "end"]


async def test_a_second_signal_does_not_wait(broker: Broker) -> None:
    record = Record(is_open=False)
    hooks = Hooks(record)
    async with serving(
        broker, [record.note], drain_seconds=600, on_drain=hooks.drain, on_overdue=hooks.overdue
    ) as worker:
        await broker.deliver(calls(1))
        await record.heard(1)
        worker.handle_sig(signal.SIGTERM)
        await until(lambda: hooks.called, what="the drain")
        assert hooks.called == ["drain"]
        begun_at = time.monotonic()  # The second one comes with the end of this block.
    assert hooks.called == ["drain", "overdue"]
    assert time.monotonic() - begun_at < SOON_SECONDS


async def test_what_does_not_end_even_then_is_cancelled(broker: Broker) -> None:
    """As when PostgreSQL is away and the end of a job cannot be written down."""
    record, hooks = Record(is_open=False), Hooks()
    async with serving(
        broker,
        [record.note],
        drain_seconds=0.1,
        overdue_seconds=0.1,
        on_overdue=hooks.overdue,
        on_shutdown=hooks.end,
    ):
        await broker.deliver(calls(1))
        await record.heard(1)
    assert hooks.called == ["overdue", "end"]
    assert record.running == 0


async def test_a_function_that_cancels_itself_does_not_cut_the_drain_short(
    broker: Broker,
) -> None:
    giving_up, lasting, hooks = Record(is_open=False), Record(is_open=False), Hooks()

    async def give_up(ctx: dict[str, object]) -> None:
        await giving_up.note(ctx)
        raise asyncio.CancelledError

    async def last(ctx: dict[str, object]) -> None:
        await lasting.note(ctx)

    async with serving(broker, [give_up, last], drain_seconds=60, on_drain=hooks.drain) as worker:
        await broker.deliver([call("a", function="give_up"), call("b", function="last")])
        await giving_up.heard(1)
        await lasting.heard(1)
        worker.handle_sig(signal.SIGTERM)
        await until(lambda: hooks.called, what="the drain")
        giving_up.open()
        await until(lambda: giving_up.running == 0, what="one to give up")
        lasting.open()
    assert worker.jobs_complete == 1


async def test_a_start_that_fails_ends_the_worker_with_its_error(broker: Broker) -> None:
    async def refuse(_: dict[str, object]) -> None:
        raise WorkerNameTakenError("A live worker is called so")

    async def start() -> None:
        async with serving(
            broker, [Record().note], on_startup=refuse, on_shutdown=hooks.end
        ) as worker:
            assert worker.main_task is not None
            await asyncio.wait({worker.main_task})

    hooks = Hooks()
    with pytest.raises(WorkerNameTakenError):
        await start()
    assert hooks.called == ["end"]


async def test_a_signal_during_the_start_ends_it(broker: Broker) -> None:
    """It may wait for PostgreSQL as long as that is away."""
    hooks, begun = Hooks(), asyncio.Event()

    async def wait(_: dict[str, object]) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with serving(broker, [Record().note], on_startup=wait, on_shutdown=hooks.end):
        await begun.wait()
    assert hooks.called == ["end"]


async def test_what_is_taken_in_the_moment_of_the_signal_is_put_back(
    broker: Broker, redis_url: str
) -> None:
    """What has no row in PostgreSQL is not lost by a deploy either."""
    first, second = Record(), Record()
    delivery = call("last", "last", place=7)
    with _BlockingRedis.from_url(redis_url, db=BROKER_DATABASE) as client:
        for _ in range(5):
            async with (
                serving(broker, [first.note], block_seconds=30) as worker,
                redis_client(redis_url, BROKER_DATABASE) as looking,
            ):

                async def is_waiting(looking: Any = looking) -> bool:  # noqa: ANN401  # redis-py's.
                    return any(each["cmd"] == "bzmpop" for each in await looking.client_list())

                await until(is_waiting, what="the worker to wait")
                # Without a step of the loop between the two.
                client.set(payload_key(delivery.id), delivery.payload)
                client.zadd(delivery.queue, {delivery.id: delivery.score})
                worker.handle_sig(signal.SIGTERM)
            async with serving(broker, [second.note]):
                await until(lambda: first.calls or second.calls, what="it to be run")
            assert first.calls + second.calls == ["last"]
            first.calls.clear()
            second.calls.clear()
