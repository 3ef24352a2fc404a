"""Redis goes away: a worker takes the jobs from PostgreSQL, and goes back when Redis is there."""

import os
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from service.config import QUEUES
from service.embedded.servers import EmbeddedServers
from service.errors import BrokerUnavailableError
from service.queue.delivery import Delivery
from service.store.jobs import mark_enqueued
from service.store.records import Job
from service.store.states import Status
from tests.integration.jobs.processes import (
    PATIENCE_SECONDS,
    WorkerProcess,
    post,
    waits,
    worker_process,
)
from tests.integration.jobs.worlds import World
from tests.servers import redis_client
from tests.waiting import until

NEVER = "3600"
RESTARTS = 20
RESUME_SECONDS = 4.0
"""Twice what it must take on a quiet machine."""


@asynccontextmanager
async def _lonely_worker(world: World, **settings: str) -> AsyncGenerator[WorkerProcess]:
    """Give a worker that delivers nothing itself, and see it end as it should."""
    async with worker_process(world, DATA20_DISPATCH_SECONDS=NEVER, **settings) as worker:
        await worker.ready()
        yield worker
        worker.process.terminate()
        assert await worker.exit_code() == 0
        assert "Traceback" not in worker.log


async def _all_completed(world: World, *jobs: Job, within: float = PATIENCE_SECONDS) -> list[Job]:
    async def completed() -> list[Job] | None:
        now = [await world.read(job) for job in jobs]
        return now if all(each.status is Status.COMPLETED for each in now) else None

    found = await until(completed, what="every job to be completed", within=within)
    assert found is not None
    assert all((each.fence, each.attempt) == (1, 1) for each in found)
    return found


async def test_jobs_run_while_redis_stays_away(
    revived: World, own_servers: EmbeddedServers
) -> None:
    """Those whose deliveries died with it and those that came later, of every queue, once each."""
    async with _lonely_worker(revived):
        own_servers.valkey.kill()
        came = [await revived.submit("quick", queue=each) for each in (*QUEUES, *QUEUES)]
        async with revived.context.database.connect() as connection:
            for job in came[:3]:
                await mark_enqueued(connection, job.id)
        await _all_completed(revived, *came)


async def test_the_order_is_that_of_deliveries(
    revived: World, own_servers: EmbeddedServers
) -> None:
    """First the queue, then the priority, then who came first."""
    own_servers.valkey.kill()
    places = [("default", 1), ("tools", 9), ("tools", 5), ("maintenance", 1), ("tools", 5)]
    came = [await revived.submit("quick", queue=each, priority=place) for each, place in places]
    async with _lonely_worker(revived, DATA20_CONCURRENCY="1"):
        done = await _all_completed(revived, *came)
    in_order = sorted(done, key=lambda job: job.started_at or job.created_at)
    expected = [came[each].id for each in (2, 4, 1, 0, 3)]
    assert [each.id for each in in_order] == expected


async def test_a_worker_serves_again_soon_after_redis_is_back(
    revived: World, own_servers: EmbeddedServers
) -> None:
    async with _lonely_worker(revived) as worker:
        for _ in range(3):
            own_servers.valkey.kill()
            await _all_completed(revived, await revived.submit("quick"))
            own_servers.valkey.start()
            back_at = time.monotonic()
            await until(lambda: waits(own_servers), what="the worker to wait for deliveries again")
            seconds = time.monotonic() - back_at
            assert seconds < RESUME_SECONDS, f"{seconds:.1f} s"
        assert worker.process.poll() is None


async def test_a_frozen_redis_is_as_good_as_none(
    revived: World, own_servers: EmbeddedServers
) -> None:
    """Its kernel accepts connections, and nobody answers."""
    async with _lonely_worker(revived):
        await until(lambda: waits(own_servers), what="the worker to wait")
        os.kill(own_servers.valkey.pid, signal.SIGSTOP)
        try:
            await _all_completed(revived, await revived.submit("quick"))
        finally:
            os.kill(own_servers.valkey.pid, signal.SIGCONT)
        await until(lambda: waits(own_servers), what="the worker to wait again")


async def test_a_redis_that_dies_over_and_over_costs_no_worker_and_no_job(
    revived: World, own_servers: EmbeddedServers
) -> None:
    """What was delivered and what was not, what Redis remembers and what it does not."""
    async with _lonely_worker(revived) as worker:
        came: list[Job] = []
        for _ in range(RESTARTS):
            job = await revived.submit("quick")
            with suppress(BrokerUnavailableError):
                await revived.context.broker.deliver([Delivery.of(job)])
            own_servers.valkey.kill()
            came += [job, await revived.submit("quick")]
            await until(
                lambda: revived.context.broker.is_away or _is_refused(revived), what="an outage"
            )
            own_servers.valkey.start()
        own_servers.valkey.kill()
        await _all_completed(revived, *came)
        assert worker.process.poll() is None
        own_servers.valkey.start()
        await until(lambda: waits(own_servers), what="the worker to wait again")


async def _is_refused(world: World) -> bool:
    try:
        await world.context.broker.probe()
    except BrokerUnavailableError:
        return True
    return False


async def test_a_redis_that_is_emptied_over_and_over_loses_nothing(
    revived: World, own_servers: EmbeddedServers
) -> None:
    async with worker_process(revived, DATA20_DISPATCH_SECONDS="0.5") as worker:
        await worker.ready()
        came: list[Job] = []
        async with redis_client(own_servers.redis_url) as client:
            for _ in range(50):
                came.append(await post(revived, await revived.submit("quick")))
                await client.flushall()
        await _all_completed(revived, *came)
