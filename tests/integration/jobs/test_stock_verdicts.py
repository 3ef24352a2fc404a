"""What arq's own worker decides about a job, and ours: each test shows first the fault."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from arq.constants import in_progress_key_prefix
from arq.cron import CronJob, cron
from sqlalchemy.ext.asyncio import AsyncConnection

from service.config import BROKER_DATABASE
from service.store import jobs, lookup
from service.store.states import Status
from tests.integration.jobs.worlds import World
from tests.integration.queue.stock import stock_serving, stock_worker
from tests.integration.store.making import FAILURE, SUCCESS, claimed, somebody
from tests.servers import redis_client
from tests.waiting import until

FAILING = """
    raise SystemExit(1)
"""

UNMOVED = """
    import signal, sys, time

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    time.sleep(60)
"""
"""A tool that ends as if all were well when it is stopped."""


async def test_a_failure_is_tried_again_and_no_stop_counts_as_success(
    world: World, redis_url: str
) -> None:
    calls: list[str] = []

    async def fail(_: dict[Any, Any]) -> None:
        calls.append("fail")
        raise RuntimeError("out of luck")

    async def swallow(_: dict[Any, Any]) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "done"
        return "never"

    async with stock_serving(redis_url, [fail, swallow], job_timeout=0.2) as stock:
        failed = await stock.pool.enqueue_job("fail")
        stopped = await stock.pool.enqueue_job("swallow")
        for job in (failed, stopped):
            await until(job.result_info, what="its result")
        assert calls == ["fail"]
        assert not (await failed.result_info()).success
        assert (await stopped.result_info()).success

    world.add_tool("failing", FAILING)
    world.add_tool("unmoved", UNMOVED)
    failed = await world.run(await world.submit("failing"))
    assert failed.status is Status.QUEUED
    assert failed.next_attempt_at is not None
    stopped = await world.run(
        await world.submit("unmoved", soft_limit_seconds=0.5, hard_limit_seconds=30.0)
    )
    assert stopped.status is Status.FAILED


async def test_a_late_worker_does_not_write_over_its_successors_result(
    connection: AsyncConnection, redis_url: str
) -> None:
    """As one that was stopped for longer than it is trusted, and then continued."""
    late, successor = asyncio.Event(), asyncio.Event()

    async def first(_: dict[Any, Any]) -> str:
        late.set()
        await successor.wait()
        return "late"

    async def second(_: dict[Any, Any]) -> str:
        return "right"

    first.__name__ = second.__name__ = "work"
    async with stock_serving(redis_url, [first]) as late_one:
        job = await late_one.pool.enqueue_job("work")
        await late.wait()
        async with redis_client(redis_url, BROKER_DATABASE) as client:
            await client.delete(in_progress_key_prefix + job.job_id)  # As when it has run out.
        async with stock_serving(redis_url, [second]):
            assert (await until(job.result_info, what="a result")).result == "right"
        successor.set()

        async def is_overwritten() -> bool:
            return (await job.result_info()).result == "late"

        await until(is_overwritten, what="the late one's result")

    slow = await claimed(connection)
    await jobs.release(connection, slow)
    mine = await jobs.claim(connection, slow.id, somebody("worker@there"))
    assert mine is not None
    assert await jobs.complete(connection, mine, SUCCESS) is not None
    assert await jobs.fail(connection, slow, FAILURE) is None
    found = await lookup.get_detail(connection, slow.id)
    assert found.job.status is Status.COMPLETED


async def test_stock_cron_runs_a_tick_twice_when_a_worker_is_late(redis_url: str) -> None:
    """A minute later the id is free again, and the late one does not know that it was used."""
    ticks: list[str] = []

    async def tick(ctx: dict[Any, Any]) -> None:
        ticks.append(ctx["job_id"])

    def each_second() -> CronJob:
        return cron(tick, second=set(range(60)), name="tick")

    late = stock_worker(redis_url, [], cron_jobs=[each_second()])
    await late.run_cron(datetime.now(UTC), 0.5)  # It learns when the next one is, and is stopped.
    async with stock_serving(redis_url, [], cron_jobs=[each_second()]) as punctual:
        await until(lambda: len(ticks) >= 3, what="some ticks")
        late._pool = punctual.pool
        await late.run_cron(datetime.now(UTC), 0.5)

        async def has_run_one_twice() -> bool:
            async with redis_client(redis_url, BROKER_DATABASE) as client:
                for each in ticks:
                    await client.delete(in_progress_key_prefix + each)  # As when it has run out.
            return len(ticks) > len(set(ticks))

        await until(has_run_one_twice, what="one to be run again")
        late._pool = None
