"""A worker that has run enough is replaced while it works, and nothing stalls."""

import asyncio
import os
import signal
from typing import Any

import psutil
import pytest

from service.errors import StoreUnavailableError
from service.jobs.lease import sign_on
from service.jobs.recycling import Recycling, find_reason
from service.jobs.rounds import every
from service.store import workers
from service.store.database import Connection
from service.store.records import Job
from service.store.states import Status
from service.store.workers import Worker
from tests.integration.jobs.processes import (
    ARQ_WORKER,
    PATIENCE_SECONDS,
    WorkerProcess,
    post,
    worker_process,
)
from tests.integration.jobs.worlds import GATED, QUICK, MakeWorld, World
from tests.integration.store.making import identity, somebody
from tests.system.stacks import is_alive
from tests.waiting import until

SOON = {
    "DATA20_LEASE_SECONDS": "2",
    "DATA20_HEARTBEAT_SECONDS": "0.5",
    "DATA20_MAX_TASKS_PER_CHILD": "1",
    "DATA20_CONCURRENCY": "2",
}
"""After two jobs, and not before eight seconds."""

STALL_SECONDS = 3.0
"""The most that a short job may wait. The aim is one second on a machine that does nothing else; a
worker that drained first would have it wait for the long job's end, which never comes."""


async def _until_ended(world: World, job: Job) -> Job:
    async def has_ended() -> bool:
        return (await world.read(job)).status.is_final

    await until(has_ended, what="the job to end", within=PATIENCE_SECONDS)
    return await world.read(job)


async def _named(world: World, name: str) -> Worker | None:
    async with world.context.database.connect() as connection:
        return await workers.find(connection, name)


async def _waits_of_a_stream(world: World, until_pid_is_not: int) -> list[float]:
    """Run short jobs one by one, until another process has the name and ten more have run."""
    waits: list[float] = []
    left = 10
    while left:
        job = await world.submit("quick")
        await post(world, job)
        done = await _until_ended(world, job)
        assert (done.status, done.attempt) == (Status.COMPLETED, 1)
        assert done.started_at is not None
        waits.append((done.started_at - done.created_at).total_seconds())
        now = await _named(world, world.context.identity.name)
        left -= now is not None and now.pid != until_pid_is_not
        await asyncio.sleep(0.05)  # A steady stream, not all that it can take.
    return waits


async def _until_it_watches(worker: WorkerProcess) -> psutil.Process:
    """Return the successor of a worker whose own jobs are done."""
    process = psutil.Process(worker.process.pid)
    await until(lambda: "--watch" in process.cmdline(), what="the watcher", within=PATIENCE_SECONDS)
    [successor] = process.children()
    return successor


@pytest.mark.timeout(240)
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_nothing_stalls_while_a_worker_is_replaced(world: World, end: signal.Signals) -> None:
    """Its long job runs on in it to its end; afterwards it stays for its successor's sake."""
    world.add_tool("gated", GATED)
    world.add_tool("quick", QUICK)
    gate = world.folder / "gate"
    async with worker_process(world, **SOON) as worker:
        await worker.ready()
        pid = worker.process.pid
        long = await world.submit("gated", {"gate": str(gate)}, max_attempts=1)
        await post(world, long)
        waits = await _waits_of_a_stream(world, until_pid_is_not=pid)
        assert max(waits) < STALL_SECONDS
        old = await _named(world, f"worker@tests~{pid}")
        assert old is not None
        assert old.is_alive
        assert old.is_draining
        now = await world.read(long)
        assert (now.status, now.fence, now.worker_id) == (Status.RUNNING, 1, old.id)
        gate.touch()
        assert (await _until_ended(world, long)).status is Status.COMPLETED
        successor = await _until_it_watches(worker)
        assert await _named(world, f"worker@tests~{pid}") is None
        worker.process.send_signal(end)
        assert await worker.exit_code() == (0 if end is signal.SIGTERM else -end)
        await until(lambda: not is_alive(successor), what="the successor's end", within=5)
    async with world.context.database.connect() as connection:
        left = [] if end is signal.SIGTERM else [successor.pid]
        assert [each.pid for each in await workers.all_workers(connection)] == left


async def test_a_worker_that_arq_started_ends_when_it_has_run_enough(world: World) -> None:
    """Whoever supervises it starts the next."""
    world.add_tool("quick", QUICK)
    async with worker_process(world, ARQ_WORKER, **SOON) as worker:
        await worker.ready()
        for _ in range(2):
            job = await world.submit("quick")
            await post(world, job)
            await _until_ended(world, job)
        assert await worker.exit_code() == 0
        assert '"event": "recycling"' in worker.log
    async with world.context.database.connect() as connection:
        assert await workers.all_workers(connection) == []


@pytest.mark.parametrize(
    ("settings", "begun", "reason"),
    [
        ({"max_tasks_per_child": 3, "concurrency": 2}, 5, None),
        ({"max_tasks_per_child": 3, "concurrency": 2}, 6, "it has run 6 jobs"),
        ({"max_tasks_per_child": 0}, 1_000_000, None),
        ({"worker_memory_mb": 1}, 0, "it uses "),
        ({"worker_memory_mb": 1_000_000}, 0, None),
        ({"worker_memory_mb": 0}, 0, None),
    ],
)
async def test_a_worker_is_replaced_for_its_jobs_or_its_memory(
    make_world: MakeWorld, settings: dict[str, Any], begun: int, reason: str | None
) -> None:
    world = await make_world(**settings)
    world.context.begun = begun
    found = find_reason(world.context)
    assert (found is None) == (reason is None)
    assert (found or "").startswith(reason or "")


async def test_an_outage_while_its_successor_starts_keeps_no_worker_for_ever(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a successor that could not be begun at the first try."""
    world = await make_world(worker_memory_mb=1, lease_seconds=0.05, heartbeat_seconds=0.02)
    await sign_on(world.context)
    outages: list[Exception] = [StoreUnavailableError("PostgreSQL does not answer")]
    faults: list[Exception] = [OSError("No process can be started")]
    find, retired = workers.find, asyncio.Event()

    async def find_at_last(connection: Connection, name: str) -> Worker | None:
        if outages:
            raise outages.pop()
        await workers.register(connection, identity(somebody(name)), lease_seconds=60.0)
        return await find(connection, name)

    def begin() -> None:
        if faults:
            raise faults.pop()

    monkeypatch.setattr(workers, "find", find_at_last)
    recycling = Recycling(world.context, retire=retired.set, begin_succession=begin)
    looking = asyncio.create_task(every(0.02, recycling.look, name="recycle"))
    await until(retired.is_set, what="the worker to retire")
    looking.cancel()


async def test_a_name_that_another_process_left_behind_is_not_taken(world: World) -> None:
    """The replacement then waits until that row is gone."""
    await sign_on(world.context)
    left_behind = f"worker@tests~{os.getpid()}"
    async with world.context.database.connect() as connection:
        await workers.register(connection, identity(somebody(left_behind)), lease_seconds=60.0)
        assert not await workers.rename(connection, world.context.identity.id, left_behind)
        assert await workers.rename(connection, world.context.identity.id, "worker@tests~1")
    renamed = await _named(world, "worker@tests~1")
    assert renamed is not None
    assert renamed.id == world.context.identity.id
