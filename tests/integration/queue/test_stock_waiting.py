"""How arq's own worker waits and takes, and how ours does: each test shows first the fault."""

import asyncio
import random
import signal
import statistics
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from arq.connections import ArqRedis

from service.queue.broker import Broker
from service.queue.delivery import score
from tests.integration.queue.serving import Record, call, depth, serving
from tests.integration.queue.stock import commands, empty, moment_ms, stock_serving, stock_worker
from tests.waiting import until

PICK_UP_SECONDS = 0.050
"""Far above the millisecond that it takes on a machine with nothing else to do; arq polls twice a
second, so that half of its deliveries wait five times as long."""


async def _median_pick_up(producer: ArqRedis, begun: list[float]) -> float:
    took: list[float] = []
    for count in range(1, 13):
        await asyncio.sleep(random.uniform(0.0, 0.1))  # noqa: S311  # Not in step with its polls.
        sent_at = time.perf_counter()
        await producer.enqueue_job("note")
        await until(partial(_has, begun, count), what="the call")
        took.append(begun[-1] - sent_at)
    return statistics.median(took)


def _has(begun: list[float], count: int) -> bool:
    return len(begun) == count


async def test_a_delivery_is_taken_when_it_comes(
    broker: Broker, producer: ArqRedis, redis_url: str
) -> None:
    """And not at the next poll."""
    begun: list[float] = []

    async def note(_: dict[Any, Any]) -> None:
        begun.append(time.perf_counter())

    async with stock_serving(redis_url, [note]):
        stock = await _median_pick_up(producer, begun)
    begun.clear()
    async with serving(broker, [note]):
        ours = await _median_pick_up(producer, begun)
    assert stock > 2 * PICK_UP_SECONDS
    assert ours < PICK_UP_SECONDS


async def test_a_delivery_takes_few_commands_however_many_workers_there_are(
    broker: Broker, redis_url: str
) -> None:
    """They do not race for the same ones."""
    count = 400
    record = Record()

    async def spent(workers: AsyncExitStack) -> float:
        record.calls.clear()
        await broker.deliver([call(f"call-{each}", each, place=each + 1) for each in range(count)])
        before = await commands(redis_url)
        async with workers:
            await record.heard(count, within=30)
        assert sorted(record.calls) == list(range(count))
        return (await commands(redis_url) - before) / count

    async with AsyncExitStack() as stock:
        for _ in range(4):
            await stock.enter_async_context(stock_serving(redis_url, [record.note]))
        of_stock = await spent(stock.pop_all())
    async with AsyncExitStack() as ours:
        for _ in range(4):
            await ours.enter_async_context(serving(broker, [record.note]))
        of_ours = await spent(ours.pop_all())
    assert of_stock > 10
    assert of_ours < 5


async def test_a_worker_serves_thousands_a_second(broker: Broker, redis_url: str) -> None:
    """Arq's sleeps between polls, however fast the machine; ours only works.

    So arq's rate is counted by the clock, and ours by the processor's time, which tells what it
    could do and which a busy machine lengthens little. `benchmarks/delivery.py` has the figures.
    """
    record = Record()

    async def rate(count: int, clock: Callable[[], float]) -> float:
        began_at = clock()
        await record.heard(count, within=60)
        return count / (clock() - began_at)

    await broker.deliver([call(f"call-{each}", each, place=each + 1) for each in range(200)])
    async with stock_serving(redis_url, [record.note], max_jobs=10):
        stock = await rate(200, time.perf_counter)
    record.calls.clear()
    await broker.deliver([call(f"call-{each}", each, place=each + 1) for each in range(5000)])
    async with serving(broker, [record.note], max_jobs=10):
        ours = await rate(5000, time.process_time)
    assert stock < 1000
    assert ours > 3000


async def test_jobs_that_run_elsewhere_do_not_hide_what_waits(
    broker: Broker, producer: ArqRedis, redis_url: str
) -> None:
    held, new = Record(is_open=False), Record()

    @asynccontextmanager
    async def full(kind: str) -> AsyncGenerator[None]:
        held.calls.clear()
        if kind == "stock":
            busy = stock_serving(redis_url, [held.note], max_jobs=100, queue_read_limit=100)
        else:
            busy = serving(broker, [held.note], max_jobs=100)
        async with busy:
            await broker.deliver(
                [call(f"held-{each}", each, place=each + 1) for each in range(100)]
            )
            await held.heard(100)
            yield
            held.open()

    async with full("stock"), stock_serving(redis_url, [new.note], max_jobs=10) as idle:
        await producer.enqueue_job("note", "hidden")
        rounds = 0
        look = idle._poll_iteration

        async def count() -> None:
            nonlocal rounds
            await look()
            rounds += 1

        idle._poll_iteration = count
        await until(lambda: rounds >= 3, what="it to have looked three times")
        assert new.calls == []
    held = Record(is_open=False)
    await empty(redis_url)
    async with full("ours"), serving(broker, [new.note], max_jobs=10):
        await producer.enqueue_job("note", "seen")
        assert await new.heard(1) == ["seen"]


async def test_of_one_moment_the_first_comes_first(
    broker: Broker, producer: ArqRedis, redis_url: str
) -> None:
    """Arq counts in milliseconds, and orders those of one by their random ids."""
    moment = datetime.now(UTC) - timedelta(seconds=1)
    for number in range(20):
        await producer.enqueue_job("note", number, _defer_until=moment)
    stock, ours = Record(), Record()
    async with stock_serving(redis_url, [stock.note]):
        await stock.heard(20)
    assert stock.calls != list(range(20))
    await broker.deliver(
        [
            call(str(-each), each, place=score(5, moment + timedelta(microseconds=each)))
            for each in range(20)
        ]
    )
    async with serving(broker, [ours.note]):
        assert await ours.heard(20) == list(range(20))


def _note_stop(stopped: list[str], queue: str, _: signal.Signals) -> None:
    stopped.append(queue)


async def test_one_worker_serves_several_queues(broker: Broker, redis_url: str) -> None:
    """Arq's serves one, and of two in a process only the last hears a signal."""
    stopped: list[str] = []
    loop = asyncio.get_running_loop()
    workers = [
        stock_worker(redis_url, [Record().note], queue_name=queue, handle_signals=True)
        for queue in ("tools", "default")
    ]
    try:
        for worker in workers:
            worker.on_stop = partial(_note_stop, stopped, worker.queue_name)
        signal.raise_signal(signal.SIGTERM)
        await until(lambda: stopped, what="the signal")
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        loop.remove_signal_handler(signal.SIGINT)
    assert stopped == ["default"]

    record = Record()
    async with serving(broker, [record.note], queues=("tools", "default")):
        for queue in ("default", "tools"):
            await broker.deliver([call(queue, queue, queue=queue, place=moment_ms())])
        assert sorted(await record.heard(2)) == ["default", "tools"]
    assert await depth(redis_url) == await depth(redis_url, "default") == 0
