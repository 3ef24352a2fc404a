"""What PostgreSQL and tools may do to a worker, and what becomes of its jobs then."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
from functools import partial

import pytest
import sqlalchemy as sa

from service.config import BROKER_DATABASE
from service.store import jobs, workers
from service.store.records import Job
from service.store.states import Reason, Status
from tests.chaos.lines import Line
from tests.integration.jobs.processes import PATIENCE_SECONDS, post, worker_process
from tests.integration.jobs.worlds import ENDLESS, GATED, QUICK, MakeWorld, World
from tests.integration.store.making import identity, somebody
from tests.servers import postgres_client, redis_client
from tests.silence import postgres_socket
from tests.waiting import until

LOCK_SECONDS = 5.0
"""Ten times what a statement waits for a lock, and longer than the lease below."""

CLAIM_SECONDS = 3.0
"""The most that a job may wait for an idle worker; one second where nothing else runs."""

SILENT = """
    import argparse, time
    from pathlib import Path

    parser = argparse.ArgumentParser()
    parser.add_argument("--gate", type=Path, required=True)
    parser.add_argument("--mark", type=Path, required=True)
    given = parser.parse_args()
    Path("left.txt").write_text("left behind")
    given.mark.touch()
    while not given.gate.exists():
        time.sleep(0.01)
"""
"""A tool that says nothing, so that no answer but that to its end is under way."""

SHORT = {
    "DATA20_LEASE_SECONDS": "3",
    "DATA20_HEARTBEAT_SECONDS": "0.5",
    "DATA20_DISPATCH_SECONDS": "0.3",
}


async def _until_all_completed(world: World, given: Sequence[Job]) -> list[Job]:
    async def are_final() -> bool:
        return all([(await world.read(job)).status.is_final for job in given])

    await until(are_final, what="every job to end", within=2 * PATIENCE_SECONDS)
    return [await world.read(job) for job in given]


async def _is_claimed(world: World, job: Job, fence: int) -> bool:
    now = await world.read(job)
    return now.status is Status.RUNNING and now.fence == fence


@pytest.mark.timeout(240)
async def test_a_job_that_kills_its_workers_ends_as_poison(world: World) -> None:
    """After three of them; each time its tool is gone at once, and it is found again at once."""
    world.add_tool("endless", ENDLESS)
    job = await world.submit("endless", max_attempts=1)
    await post(world, job)
    for number in range(1, 4):
        async with worker_process(world) as worker:
            claimed = partial(_is_claimed, world, job, number)
            row = await worker.ready()
            await until(claimed, what=f"claim {number}", within=PATIENCE_SECONDS)
            assert (await world.read(job)).worker_id == row.id
            worker.process.kill()
            await worker.exit_code()
    quick = await world.submit("quick")
    world.add_tool("quick", QUICK)
    async with worker_process(world):
        await post(world, quick)
        poison, healthy = await _until_all_completed(world, [job, quick])
    assert (poison.status, poison.reason, poison.losses) == (Status.FAILED, Reason.WORKER_LOST, 3)
    assert poison.fence == 3
    assert healthy.status is Status.COMPLETED


@pytest.fixture
async def line(migrated_url: str) -> AsyncGenerator[Line]:
    """Give a line to PostgreSQL that can be cut."""
    line = Line(postgres_socket(migrated_url))
    await line.open()
    yield line
    line.close()


async def test_an_end_whose_commit_was_not_answered_is_read_back(
    make_world: MakeWorld, migrated_url: str, line: Line
) -> None:
    """It is neither written twice nor taken for somebody else's."""
    here = await make_world()
    there = await make_world(database_url=line.leads_to(migrated_url), worker_name="worker@there")
    there.add_tool("quick", QUICK)
    await there.run(await there.submit("quick"))  # So that its connection has an end prepared.
    there.add_tool("silent", SILENT)
    gate, mark = there.folder / "gate", there.folder / "mark"
    job = await there.submit("silent", {"gate": str(gate), "mark": str(mark)})
    delivery = asyncio.create_task(there.deliver(job.id))
    await until(mark.exists, what="the tool to run", within=PATIENCE_SECONDS)
    line.hold_answers()
    gate.touch()

    async def is_committed() -> bool:
        return (await here.read(job)).status is Status.COMPLETED

    await until(is_committed, what="the commit", within=PATIENCE_SECONDS)
    assert not delivery.done()
    line.cut()
    await asyncio.wait_for(delivery, PATIENCE_SECONDS)
    assert await here.states(job) == ["create", "claim", "complete"]
    assert (await here.detail(job)).artifact_names == ("left.txt",)
    assert here.kept_files() == ["left.txt"]


@pytest.mark.timeout(240)
async def test_sessions_that_are_ended_all_the_time_cost_no_job(
    world: World, migrated_url: str
) -> None:
    world.add_tool("quick", QUICK)
    given = [await world.submit("quick", max_attempts=1) for _ in range(40)]
    async with worker_process(world, **SHORT) as worker, postgres_client(migrated_url) as client:
        await worker.ready()

        ended_sessions = 0

        async def end_sessions() -> None:
            nonlocal ended_sessions
            while True:
                is_ended = await client.fetchval(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'worker@tests' AND datname = current_database()"
                    " AND pid NOT IN (SELECT unnest($1::int[])) ORDER BY random() LIMIT 1",
                    ours,
                )
                ended_sessions += bool(is_ended)
                await asyncio.sleep(1)  # One each second.

        ours = [await _own_session(world)]
        ending = asyncio.create_task(end_sessions())
        for job in given:
            await post(world, job)
        ended = await _until_all_completed(world, given)
        ending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ending
    assert ended_sessions > 0
    assert {(each.status, each.attempt) for each in ended} == {(Status.COMPLETED, 1)}
    for job in given:
        assert (await world.states(job)).count("complete") == 1


async def _own_session(world: World) -> int:
    async with world.context.database.connect() as connection:
        return (await connection.execute(sa.text("SELECT pg_backend_pid()"))).scalar_one()


async def test_jobs_outlive_a_lock_on_their_table(world: World, migrated_url: str) -> None:
    """Claims, lines and ends wait; leases are renewed, and nothing runs twice."""
    world.add_tool("gated", GATED)
    gate = world.folder / "gate"
    running = await world.submit("gated", {"gate": str(gate)}, max_attempts=1)
    waiting = await world.submit("gated", {"gate": str(gate)}, max_attempts=1)
    async with worker_process(world, **SHORT) as worker, postgres_client(migrated_url) as client:
        await worker.ready()
        await post(world, running)
        await until(lambda: world.lines(running), what="a line", within=PATIENCE_SECONDS)
        await post(world, waiting)
        async with client.transaction():
            await client.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
            await asyncio.sleep(LOCK_SECONDS)  # Not to wait for anything: the lock itself.
            gate.touch()
        ended = await _until_all_completed(world, [running, waiting])
    assert {(each.status, each.attempt, each.losses) for each in ended} == {
        (Status.COMPLETED, 1, 0)
    }


async def test_two_hundred_running_jobs_hide_no_waiting_one(world: World, redis_url: str) -> None:
    world.add_tool("quick", QUICK)
    busy = somebody("busy@tests")
    async with world.context.database.connect() as connection:
        await workers.register(connection, identity(busy), lease_seconds=600.0)
    for _ in range(200):
        job = await post(world, await world.submit("quick"))
        async with world.context.database.connect() as connection:
            assert await jobs.claim(connection, job.id, busy) is not None
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        await client.flushdb()  # The busy worker has taken their deliveries.
    async with worker_process(world) as worker:
        await worker.ready()
        begun_at = time.monotonic()
        new = [await post(world, await world.submit("quick")) for _ in range(5)]
        posted_seconds = time.monotonic() - begun_at
        ended = await _until_all_completed(world, new)
    for each in ended:
        assert each.started_at is not None
        assert each.queued_at is not None
        waited = (each.started_at - each.queued_at).total_seconds()
        assert waited < CLAIM_SECONDS + posted_seconds
