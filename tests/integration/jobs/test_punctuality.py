"""Retries and deferred jobs start on time, by what is known beforehand and by what is told."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from service.queue.control import CHANNEL
from service.queue.enqueue import submit
from service.store.records import Job
from tests.integration.jobs.processes import PATIENCE_SECONDS, WorkerProcess, worker_process
from tests.integration.jobs.worlds import QUICK, MakeWorld, World
from tests.integration.queue.listening import listening
from tests.integration.store.making import NEW
from tests.waiting import until

AN_HOUR = {"DATA20_DISPATCH_SECONDS": "3600"}
"""No round of the dispatcher helps anybody: only what is known beforehand."""

MOST_LATE_SECONDS = 1.0

FAILS_ONCE = """
    import os, sys
    sys.exit(os.environ["DATA20_ATTEMPT"] == "1")
"""


async def _until_ended(world: World, jobs: Sequence[Job]) -> None:
    async def have_ended() -> bool:
        return all([(await world.read(job)).status.is_final for job in jobs])

    await until(have_ended, what="the jobs to end", within=PATIENCE_SECONDS)


async def _claims(world: World, job: Job) -> list[datetime]:
    return [
        event.at
        for event in await world.events(job)
        if event.kind == "status" and event.data["move"] == "claim"
    ]


async def _has_looked(world: World, worker: WorkerProcess) -> bool:
    """Tell whether the worker has made its first round and hears of what it does not know."""
    async with world.context.database.connect() as connection:
        looks = await connection.execute(
            sa.text(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%min(jobs.deliver_at)%'"
                " AND state = 'idle' AND pid <> pg_backend_pid()"
            )
        )
    redis: Any = world.context.broker.arq
    [(_, listeners)] = await redis.pubsub_numsub(CHANNEL)
    return "worker ready" in worker.log and looks.scalar_one() > 0 and listeners > 0


async def _defer(world: World, delay_seconds: float) -> Job:
    """Accept a job as the API does."""
    context = world.context
    new = replace(NEW, tool_name="quick", parameters={}, delay_seconds=delay_seconds)
    return await submit(context.database, context.broker, new)


async def test_a_deferred_job_starts_on_time(world: World) -> None:
    """Whether its worker knew of it from its first look, or was told."""
    world.add_tool("quick", QUICK)
    before = await _defer(world, 12.0)
    async with worker_process(world, **AN_HOUR) as worker:
        await until(
            lambda: _has_looked(world, worker), what="a first look", within=PATIENCE_SECONDS
        )
        told = [await _defer(world, delay) for delay in (2.0, 0.3, 1.0)]
        await _until_ended(world, [before, *told])
    for job in [before, *told]:
        due = job.next_attempt_at
        assert due is not None
        [claimed] = await _claims(world, job)
        assert 0 <= (claimed - due).total_seconds() <= MOST_LATE_SECONDS


@pytest.mark.parametrize("delay", [0.0, 1.5])
async def test_a_retry_starts_on_time(world: World, delay: float) -> None:
    world.add_tool("once", FAILS_ONCE)
    job = await world.submit("once", retry_delay_seconds=delay)
    async with worker_process(world, **AN_HOUR):
        await _until_ended(world, [job])
    assert (await world.states(job))[-4:] == ["claim", "retry", "claim", "complete"]
    failed = next(event for event in await world.events(job) if event.data.get("move") == "retry")
    due = datetime.fromisoformat(failed.data["next_attempt_at"])
    _, claimed = await _claims(world, job)
    assert 0 <= (claimed - due).total_seconds() <= MOST_LATE_SECONDS


async def test_a_nudge_that_got_lost_costs_one_round(world: World) -> None:
    """Nobody told the worker of this job, and it looks every second."""
    world.add_tool("quick", QUICK)
    async with worker_process(world, DATA20_DISPATCH_SECONDS="1") as worker:
        await worker.ready()
        job = await world.submit("quick", delay_seconds=0.5)
        await _until_ended(world, [job])
    [claimed] = await _claims(world, job)
    assert 0.5 <= (claimed - job.created_at).total_seconds() <= 0.5 + 1 + MOST_LATE_SECONDS


async def test_every_worker_is_told_of_a_retry(world: World, redis_url: str) -> None:
    """The one whose job it was may drain, or be gone when it is due."""
    world.add_tool("once", FAILS_ONCE)
    async with listening(redis_url, CHANNEL) as heard:
        await world.run(await world.submit("once", retry_delay_seconds=0.25))
        await until(lambda: heard, what="the nudge")
    assert heard == [{"due_in": 0.25}]


async def test_a_worker_tells_itself_though_redis_is_away(make_world: MakeWorld) -> None:
    world = await make_world(redis_url="unix:///nowhere")
    world.add_tool("once", FAILS_ONCE)
    await world.run(await world.submit("once", retry_delay_seconds=0.25))
    async with asyncio.timeout(10):
        await world.context.alarm.wait()
