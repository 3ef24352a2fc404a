"""A worker that stands still or is cut off keeps no tool running beyond its lease."""

import asyncio
import signal
from collections.abc import AsyncGenerator

import pytest

from service.embedded.servers import EmbeddedServers
from service.store import workers
from service.store.records import Job
from service.store.states import Status
from tests.integration.jobs.processes import PATIENCE_SECONDS, post, worker_process
from tests.integration.jobs.worlds import GATED, MakeWorld, World
from tests.silence import Line, line_to, postgres_socket, through
from tests.waiting import until

LEASE_SECONDS = 5.0
SHORT = {
    "DATA20_LEASE_SECONDS": f"{LEASE_SECONDS}",
    "DATA20_HEARTBEAT_SECONDS": "1",
    "DATA20_DISPATCH_SECONDS": "0.3",
}

TICKING = """
    import argparse, os, time
    from pathlib import Path

    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    ticks = parser.parse_args().folder / f"ticks-{os.environ['DATA20_JOB'].rpartition(':')[2]}"
    print("started", flush=True)
    while True:
        with ticks.open("a") as file:
            file.write(f"{time.monotonic()}\\n")
        time.sleep(0.02)
"""
"""A tool that writes down, by the fence of its run, each moment at which it runs."""


async def _tick(world: World) -> Job:
    """Start the ticking tool on whatever worker there is."""
    world.add_tool("ticking", TICKING)
    job = await world.submit("ticking", {"folder": str(world.folder)}, max_attempts=1)
    await post(world, job)
    await until(lambda: _ticks(world, 1), what="the first tick", within=PATIENCE_SECONDS)
    return job


def _ticks(world: World, fence: int) -> list[float]:
    path = world.folder / f"ticks-{fence}"
    return [float(line) for line in path.read_text().splitlines()] if path.exists() else []


def _is_gone(world: World, job: Job) -> bool:
    return not [each for each in world.leftovers(job) if isinstance(each, int)]


async def test_a_stopped_worker_and_its_successor_never_run_a_job_at_once(
    make_world: MakeWorld,
) -> None:
    """The tool is gone before its job can be taken over; the late worker changes nothing."""
    world, other = await make_world(), await make_world(worker_name="other@tests")
    async with worker_process(world, **SHORT) as late:
        job = await _tick(world)
        async with worker_process(other, **SHORT) as successor:
            taker = await successor.ready()
            late.process.send_signal(signal.SIGSTOP)
            await until(lambda: _ticks(world, 2), what="the second run", within=PATIENCE_SECONDS)
            taken = await world.read(job)
            late.process.send_signal(signal.SIGCONT)
            await until(
                lambda: '"event": "overtaken"' in late.log,
                what="the late worker to find out",
                within=PATIENCE_SECONDS,
            )
            assert (taken.fence, taken.losses, taken.worker_id) == (2, 1, taker.id)
            now = await world.read(job)
            assert (now.status, now.fence, now.worker_id) == (Status.RUNNING, 2, taker.id)
            assert late.process.poll() is None
    assert _ticks(world, 1)[-1] < _ticks(world, 2)[0]


async def test_a_worker_that_was_stopped_hands_its_job_back_unharmed(world: World) -> None:
    """Nobody else is there: it finds the tool gone, and the job starts anew."""
    async with worker_process(world, **SHORT) as worker:
        job = await _tick(world)
        worker.process.send_signal(signal.SIGSTOP)
        await until(lambda: _is_gone(world, job), what="the tool's end", within=PATIENCE_SECONDS)
        worker.process.send_signal(signal.SIGCONT)
        await until(lambda: _ticks(world, 2), what="the second run", within=PATIENCE_SECONDS)
        again = await world.read(job)
        assert (again.fence, again.attempt, again.losses) == (2, 1, 0)
    assert await world.states(job) == ["create", "enqueue", "claim", "release", "claim"]


@pytest.fixture
async def line(migrated_url: str) -> AsyncGenerator[Line]:
    """Give a line to PostgreSQL that can go silent."""
    async with line_to(postgres_socket(migrated_url)) as line:
        yield line


async def test_a_worker_that_is_cut_off_ends_its_tool_while_its_lease_holds(
    world: World, line: Line, migrated_url: str
) -> None:
    """It cannot know whether others still reach the server."""
    through_the_line = {**SHORT, "DATABASE_URL": through(line, migrated_url)}
    async with worker_process(world, **through_the_line) as worker:
        job = await _tick(world)
        line.is_alive.clear()
        await until(lambda: _is_gone(world, job), what="the tool's end", within=LEASE_SECONDS + 1)
        row = await worker.row()
        assert row is not None
        assert row.is_alive
        line.is_alive.set()
        await until(lambda: _ticks(world, 2), what="the second run", within=PATIENCE_SECONDS)
        again = await world.read(job)
        assert (again.fence, again.attempt, again.losses) == (2, 1, 0)


@pytest.mark.timeout(300)
async def test_tools_run_through_an_outage_that_is_longer_than_the_lease(
    fragile: World, own_servers: EmbeddedServers
) -> None:
    """No one is rescued by mistake, and every result is kept."""
    fragile.add_tool("gated", GATED)
    gate = fragile.folder / "gate"
    async with (
        worker_process(fragile, **SHORT, DATA20_CONCURRENCY="20") as worker,
        worker_process(fragile, **SHORT, DATA20_WORKER_NAME="other@tests", DATA20_QUEUES="default"),
    ):
        await worker.ready()
        jobs = [await fragile.submit("gated", {"gate": str(gate)}) for _ in range(20)]
        for job in jobs:
            await post(fragile, job)
        for job in jobs:
            await _until_it_says(fragile, job)
        await until(lambda: _both_signed_on(fragile), what="both workers", within=PATIENCE_SECONDS)
        own_servers.postgres.kill()
        await asyncio.sleep(2 * LEASE_SECONDS)  # Not to wait for anything: the outage itself.
        tools = [job for job in jobs if _is_gone(fragile, job)]
        own_servers.postgres.start()
        await _until_renewed(fragile)
        gate.touch()
        for job in jobs:
            await _until_ended(fragile, job)
    assert tools == []
    ended = [await fragile.detail(job) for job in jobs]
    assert {(each.job.status, each.job.fence, each.job.losses) for each in ended} == {
        (Status.COMPLETED, 1, 0)
    }
    assert {each.result.output for each in ended if each.result} == {"started\nended\n"}


async def _until_it_says(world: World, job: Job) -> None:
    await until(lambda: world.lines(job), what="the tool to say something", within=PATIENCE_SECONDS)


async def _until_ended(world: World, job: Job) -> None:
    async def has_ended() -> bool:
        return (await world.read(job)).status.is_final

    await until(has_ended, what="the job to end", within=PATIENCE_SECONDS)


async def _both_signed_on(world: World) -> bool:
    async with world.context.database.connect() as connection:
        return len(await workers.all_workers(connection)) == 2


async def _until_renewed(world: World) -> None:
    """Return when every worker has renewed its lease, and two leases more have passed.

    By then whoever would rescue by mistake has done so.
    """

    async def are_alive() -> bool:
        async with world.context.database.connect() as connection:
            return all(each.is_alive for each in await workers.all_workers(connection))

    await world.reconnected()
    await until(are_alive, what="every lease to be renewed", within=PATIENCE_SECONDS)
    await asyncio.sleep(2 * LEASE_SECONDS)
