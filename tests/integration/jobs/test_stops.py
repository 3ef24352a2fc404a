"""SIGTERM at awkward moments: a worker ends as it should, and no attempt is charged for it."""

import os
import shutil
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import psutil
import pytest

from service.embedded.servers import EmbeddedServers
from service.execution.isolation import Isolation
from service.store.records import Job
from service.store.states import Reason, Status
from tests.integration.jobs.processes import (
    DATA20_WORKER,
    PATIENCE_SECONDS,
    WorkerProcess,
    post,
    worker_process,
)
from tests.integration.jobs.worlds import ENDLESS, QUICK, World
from tests.waiting import until

DEPLOYS = 20

HASTY = {"DATA20_DRAIN_SECONDS": "0.1", "DATA20_DISPATCH_SECONDS": "0.3"}

EXIT_SECONDS = 40.0
"""From SIGTERM to the end, whatever else is broken."""

AS_PROCESS_1 = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *DATA20_WORKER)
"""A worker as a container starts it."""


@asynccontextmanager
async def _stopped(worker: WorkerProcess) -> AsyncGenerator[None]:
    """Send SIGTERM, and see the worker end in time, in good order."""
    worker.process.terminate()
    begun_at = time.monotonic()
    yield
    assert await worker.exit_code() == 0
    assert time.monotonic() - begun_at < EXIT_SECONDS
    assert "Traceback" not in worker.log


async def _is_claimed(world: World, job: Job, fence: int) -> bool:
    now = await world.read(job)
    return now.status is Status.RUNNING and now.fence == fence


async def _start_endless(world: World) -> Job:
    world.add_tool("endless", ENDLESS)
    job = await world.submit("endless", max_attempts=1)
    await post(world, job)
    await until(lambda: world.lines(job), what="the tool to say something", within=PATIENCE_SECONDS)
    return job


@pytest.mark.timeout(400)
async def test_twenty_deploys_over_one_long_job_charge_nothing(world: World) -> None:
    """It may be tried only once, and yet it starts anew after each."""
    world.add_tool("endless", ENDLESS)
    job = await world.submit("endless", max_attempts=1)
    await post(world, job)
    for number in range(1, DEPLOYS + 1):
        async with worker_process(world, **HASTY) as worker:
            claimed = partial(_is_claimed, world, job, number)
            await until(claimed, what=f"claim {number}", within=PATIENCE_SECONDS)
            async with _stopped(worker):
                pass
        back = await world.read(job)
        assert (back.status, back.reason) == (Status.QUEUED, Reason.SHUTDOWN)
        assert (back.fence, back.attempt, back.losses) == (number, 0, 0)
    assert world.leftovers(job) == []


async def test_a_worker_that_waits_for_postgresql_to_start_can_be_stopped(
    fragile: World, own_servers: EmbeddedServers
) -> None:
    own_servers.postgres.kill()
    async with worker_process(fragile) as worker:
        waits = '"event": "store away, waiting"'
        await until(lambda: waits in worker.log, what="its wait", within=PATIENCE_SECONDS)
        async with _stopped(worker):
            pass
    own_servers.postgres.start()


@pytest.mark.timeout(240)
async def test_a_stop_while_postgresql_is_away_hands_the_job_back_later(
    fragile: World, own_servers: EmbeddedServers
) -> None:
    """The release waits on the disk for the next start."""
    async with worker_process(fragile, DATA20_DRAIN_SECONDS="1") as worker:
        job = await _start_endless(fragile)
        own_servers.postgres.kill()
        async with _stopped(worker):
            pass
    assert [each for each in fragile.leftovers(job) if isinstance(each, int)] == []
    own_servers.postgres.start()
    await fragile.reconnected()
    async with worker_process(fragile):
        claimed = partial(_is_claimed, fragile, job, 2)
        await until(claimed, what="the next claim", within=PATIENCE_SECONDS)
        again = await fragile.read(job)
    assert (again.attempt, again.losses) == (1, 0)
    assert await fragile.states(job) == ["create", "enqueue", "claim", "release", "claim"]


async def test_a_stop_while_redis_is_away_hands_the_job_back(
    fragile: World, own_servers: EmbeddedServers
) -> None:
    async with worker_process(fragile, DATA20_DRAIN_SECONDS="1") as worker:
        job = await _start_endless(fragile)
        own_servers.valkey.kill()
        async with _stopped(worker):
            pass
    back = await fragile.read(job)
    assert (back.status, back.attempt, back.losses) == (Status.QUEUED, 0, 0)
    own_servers.valkey.start()


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="Makes a PID namespace"
)
async def test_a_worker_that_is_process_1_stops_as_any_other(
    world: World, isolation: Isolation
) -> None:
    """As `docker stop` stops it: the kernel gives process 1 no default for a signal."""
    if isolation is not Isolation.PID_NAMESPACE:
        pytest.skip("This host allows no PID namespace")
    world.add_tool("quick", QUICK)
    async with worker_process(world, AS_PROCESS_1, DATA20_DRAIN_SECONDS="1") as worker:
        job = await _start_endless(world)
        [inner] = psutil.Process(worker.process.pid).children()
        inner.send_signal(signal.SIGTERM)
        assert await worker.exit_code() == 0
        assert '"event": "worker ended"' in worker.log
    back = await world.read(job)
    assert (back.status, back.attempt, back.losses) == (Status.QUEUED, 0, 0)
