"""Cancels in numbers: of what waits, runs and has ended, with Redis and without, and how soon."""

import asyncio
import statistics
import time
from pathlib import Path

import pytest
from httpx2 import AsyncClient

from service.errors import JobFinishedError
from service.jobs.lease import heartbeat, sign_on
from service.queue.broker import Broker
from service.queue.control import cancel
from service.store.records import Job
from service.store.states import Status
from tests.integration.jobs.worlds import ENDLESS, QUICK, World
from tests.integration.web.serving import serving

TIMES = 50
"""How often each kind of cancel is tried."""

AT_A_TIME = 10

SEEN_SECONDS = 0.05
"""From a DELETE to the tool's own handler, in half of the cases."""

FELT = """
    import argparse, signal, sys, time
    from pathlib import Path

    parser = argparse.ArgumentParser()
    parser.add_argument("--felt", type=Path, required=True)
    felt = parser.parse_args().felt

    def stop(*_):
        now = time.monotonic()
        felt.write_text(str(now))
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    print("started", flush=True)
    while True:
        time.sleep(60)
"""
"""A tool that writes down when it was asked to stop."""


async def _seconds_until_felt(world: World, client: AsyncClient, felt: Path) -> float:
    job = await world.submit("felt", {"felt": str(felt)})
    delivery = await world.begin(job)
    asked_at = time.monotonic()
    assert (await client.delete(f"/api/jobs/{job.id}")).is_success
    await asyncio.wait_for(delivery, 30)
    assert (await world.read(job)).status is Status.CANCELLED
    return _moment_in(felt) - asked_at


def _moment_in(felt: Path) -> float:
    return float(felt.read_text())


async def test_a_tool_feels_a_cancel_soon(listening: World) -> None:
    """One after the other: how long the way takes, not how busy the machine is."""
    listening.add_tool("felt", FELT)
    settings = listening.context.settings.model_copy(
        update={"worker_name": "api@tests", "local_concurrency": 0}
    )
    async with serving(settings) as client:
        took = [
            await _seconds_until_felt(listening, client, listening.folder / f"felt-{number}")
            for number in range(TIMES)
        ]
    assert statistics.median(took) < SEEN_SECONDS


async def _cancel(world: World, broker: Broker, job: Job, *, terminates: bool) -> Job:
    return await cancel(world.context.database, broker, job.id, terminates=terminates)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("terminates", [False, True])
@pytest.mark.parametrize("has_redis", [True, False])
async def test_every_cancel_of_a_running_job_ends_it(
    listening: World, *, terminates: bool, has_redis: bool
) -> None:
    """Without Redis at the next heartbeat, though nobody is nudged."""
    listening.add_tool("endless", ENDLESS)
    nowhere = Broker("unix:///nowhere")
    broker = listening.context.broker if has_redis else nowhere
    for _ in range(TIMES // AT_A_TIME):
        given = [await listening.submit("endless") for _ in range(AT_A_TIME)]
        deliveries = await asyncio.gather(*(listening.begin(job) for job in given))
        for job in given:
            answer = await _cancel(listening, broker, job, terminates=terminates)
            assert answer.status is Status.RUNNING
        if not has_redis:
            await heartbeat(listening.context)
        await asyncio.wait_for(asyncio.gather(*deliveries), 60)
        for job in given:
            assert (await listening.read(job)).status is Status.CANCELLED
            assert ("asked to stop" in await listening.lines(job)) is not terminates
            assert listening.leftovers(job) == []
    await nowhere.close()


@pytest.mark.parametrize("has_redis", [True, False])
async def test_every_cancel_of_a_waiting_job_is_immediate(
    listening: World, *, has_redis: bool
) -> None:
    """Its delivery, should it still come, starts nothing."""
    listening.add_tool("quick", QUICK)
    nowhere = Broker("unix:///nowhere")
    broker = listening.context.broker if has_redis else nowhere
    for _ in range(TIMES):
        job = await listening.submit("quick")
        answer = await _cancel(listening, broker, job, terminates=False)
        assert answer.status is Status.CANCELLED
        await listening.deliver(job.id)
        assert await listening.states(job) == ["create", "revoke"]
    await nowhere.close()


async def test_no_cancel_changes_what_has_ended(world: World) -> None:
    world.add_tool("quick", QUICK)
    await sign_on(world.context)
    for _ in range(TIMES):
        done = await world.run(await world.submit("quick"))
        assert done.status is Status.COMPLETED
        for terminates in (False, True):
            with pytest.raises(JobFinishedError):
                await _cancel(world, world.context.broker, done, terminates=terminates)
        assert await world.read(done) == done
