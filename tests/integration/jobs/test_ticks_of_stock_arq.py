"""What stock arq does with a tick that is late or missed, and what the ledger makes of it."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.constants import in_progress_key_prefix
from arq.cron import CronJob, cron
from arq.worker import Worker

from service.queue.worker import DeliveryWorker
from tests.integration.jobs.chores import Chore, runs
from tests.integration.jobs.worlds import MakeWorld

# Not by its name in arq, under which `service.worker` puts ours.
StockWorker: type[Worker] = DeliveryWorker.__bases__[0]

TICK = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
"""A moment that has passed; the next one of its kind is in a year."""
SECOND = timedelta(seconds=1)
WINDOW_SECONDS = 0.5


class Stock:
    """Stock workers with one tick in their timetable, and how often it ran."""

    def __init__(self, redis_url: str, stack: AsyncExitStack) -> None:
        self.calls = 0
        self._url = redis_url
        self._stack = stack

    async def pool(self) -> ArqRedis:
        """Return a way to Redis, closed after the test."""
        pool = await create_pool(RedisSettings.from_dsn(f"{self._url}?db=1"))
        self._stack.push_async_callback(pool.aclose, close_connection_pool=True)
        return pool

    async def worker(self) -> Worker:
        """Return a worker that has looked at its timetable shortly before the tick."""
        worker = StockWorker(
            cron_jobs=[self._tick()],
            redis_pool=await self.pool(),
            queue_name="stock",
            burst=True,
            poll_delay=0.01,
            handle_signals=False,
            timezone=UTC,
        )
        await worker.run_cron(TICK - 10 * SECOND, 0)
        return worker

    def _tick(self) -> CronJob:
        async def note(ctx: dict[Any, Any], *_: Any, **__: Any) -> None:  # noqa: ANN401  # As arq calls it.
            del ctx
            self.calls += 1

        return cron(
            note,
            name="note",
            month=TICK.month,
            day=TICK.day,
            hour=TICK.hour,
            minute=TICK.minute,
            second=TICK.second,
            microsecond=0,
        )


@pytest.fixture
async def stock(redis_url: str) -> AsyncGenerator[Stock]:
    """Give stock workers on an empty Redis."""
    async with AsyncExitStack() as stack:
        yield Stock(redis_url, stack)


async def test_a_stock_worker_that_is_late_runs_a_unique_tick_again(stock: Stock) -> None:
    in_time, late = await stock.worker(), await stock.worker()
    await in_time.run_cron(TICK, WINDOW_SECONDS)
    await in_time.async_run()
    assert stock.calls == 1
    mark = f"{in_progress_key_prefix}note:{int(TICK.timestamp() * 1000)}"
    assert await (await stock.pool()).delete(mark) == 1  # As it goes by itself after a minute.
    await late.run_cron(TICK + 1.5 * SECOND, WINDOW_SECONDS)
    await late.async_run()
    assert stock.calls == 2


async def test_a_stock_worker_that_starts_behind_a_tick_never_runs_it(stock: Stock) -> None:
    worker = await stock.worker()
    worker.cron_jobs[0].next_run = None  # As one that was not there before.
    await worker.run_cron(TICK + SECOND, WINDOW_SECONDS)
    await worker.async_run()
    assert stock.calls == 0


# arq closes its connection by a name that redis-py has given up.
@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")
async def test_the_first_stock_worker_to_stop_takes_the_sign_of_life_of_all(stock: Stock) -> None:
    first, second = await stock.worker(), await stock.worker()
    redis = await stock.pool()
    for worker in (first, second):
        await worker.record_health()
    assert await redis.exists(second.health_check_key)
    await first.close()
    assert not await redis.exists(second.health_check_key)


async def test_a_worker_of_ours_that_is_late_runs_no_tick_again(make_world: MakeWorld) -> None:
    chore = Chore()
    in_time = await make_world(worker_name="in-time")
    late = await make_world(worker_name="late")
    await chore.keeper(in_time).tick()
    await chore.do(in_time, (await runs(in_time))[0])
    await chore.keeper(late).tick()
    [run] = await runs(late)
    await chore.do(late, run)
    assert chore.calls == 1


async def test_a_worker_of_ours_that_starts_behind_a_tick_runs_it(make_world: MakeWorld) -> None:
    chore = Chore()
    world = await make_world()
    await chore.keeper(world).tick()
    [run] = await runs(world)
    await chore.do(world, run)
    assert chore.calls == 1
