"""The lease of a worker: who gets it, what a heartbeat tells, and what is stopped by it."""

import asyncio
import os
import socket
import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psutil
import pytest
import sqlalchemy as sa

from service.errors import WorkerNameTakenError
from service.jobs.lease import heartbeat, identify, sign_on
from service.jobs.lifecycle import Lifecycle
from service.store import jobs, workers
from service.store.database import Database
from service.store.migrate import upgrade
from service.store.states import Status
from service.store.workers import Worker
from tests.integration.jobs.worlds import ENDLESS, GATED, MakeWorld, World
from tests.integration.store.making import claimed
from tests.servers import postgres_client
from tests.waiting import until


async def _row(world: World, name: str = "worker@tests") -> Worker | None:
    async with world.context.database.connect() as connection:
        return await workers.find(connection, name)


@contextmanager
def _child() -> Generator[psutil.Process]:
    """Give a process that does nothing, gone afterwards."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        yield psutil.Process(process.pid)


async def _register_predecessor(
    world: World, *, lease_seconds: float = 60.0, **changes: object
) -> None:
    """Write the row of a worker of the same name whose lease still runs."""
    who = replace(world.context.identity, id=uuid4(), **changes)  # pyright: ignore[reportArgumentType]  # Tests name real fields.
    async with world.context.database.connect() as connection:
        assert await workers.register(connection, who, lease_seconds=lease_seconds)


async def test_who_signs_on_is_shown_with_all_it_is(world: World) -> None:
    await sign_on(world.context)
    row = await _row(world)
    assert row is not None
    assert row.is_alive
    assert not row.is_draining
    assert (row.name, row.host, row.pid) == ("worker@tests", socket.gethostname(), os.getpid())
    assert row.queues == world.context.settings.queues
    assert row.concurrency == world.context.settings.concurrency
    assert row.isolation == world.context.isolation
    lease = (row.lease_until - datetime.now(UTC)).total_seconds()
    assert 0 < lease <= world.context.settings.lease_seconds


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "another-host"},
        {"host": "another-host", "boot_id": "another-boot", "pid": 2**22 - 1},
        {},
    ],
    ids=["another host", "another host that looks gone from here", "this very process"],
)
async def test_the_name_of_a_live_worker_is_refused(world: World, changes: dict[str, Any]) -> None:
    """Of another host nothing can be proved: its lease must run out."""
    await _register_predecessor(world, **changes)
    with pytest.raises(WorkerNameTakenError, match="worker@tests"):
        await sign_on(world.context)


async def test_a_container_is_no_judge_of_another_ones_processes(world: World) -> None:
    """Two may have one host's name, and each its own process 1."""
    boot, _, _ = world.context.identity.boot_id.partition("/")
    await _register_predecessor(world, boot_id=f"{boot}/1", pid=2**22 - 1)
    with pytest.raises(WorkerNameTakenError):
        await sign_on(world.context)


async def test_another_start_of_the_host_proves_nothing(world: World) -> None:
    """It may be another machine of the same name, and alive."""
    await _register_predecessor(world, boot_id="another-boot/1")
    with pytest.raises(WorkerNameTakenError):
        await sign_on(world.context)


async def test_a_predecessor_whose_process_has_ended_is_gone(world: World) -> None:
    with _child() as process:
        pass
    await _register_predecessor(world, pid=process.pid)
    await sign_on(world.context)


async def test_a_predecessor_that_nobody_has_buried_is_gone(world: World) -> None:
    with _child() as process:
        process.kill()
        await until(lambda: process.status() == psutil.STATUS_ZOMBIE, what="its end")
        started_at = process.create_time()
        await _register_predecessor(world, pid=process.pid, process_started_at=started_at)
        await sign_on(world.context)


async def test_a_predecessor_whose_number_is_another_process_now_is_gone(world: World) -> None:
    started_at = world.context.identity.process_started_at - 100
    await _register_predecessor(world, process_started_at=started_at)
    await sign_on(world.context)


async def test_a_process_that_is_there_is_never_gone(world: World) -> None:
    with _child() as process:
        started_at = process.create_time()
        await _register_predecessor(world, pid=process.pid, process_started_at=started_at)
        with pytest.raises(WorkerNameTakenError, match=f"process {process.pid} on "):
            await sign_on(world.context)


async def test_a_process_knows_itself_again(world: World) -> None:
    """What identifies it does not change while it lives; only the id is new."""
    again = identify(world.context.settings, world.context.isolation)
    assert again.id != world.context.identity.id
    assert replace(again, id=world.context.identity.id) == world.context.identity


async def test_a_heartbeat_renews_the_lease(make_world: MakeWorld) -> None:
    world = await make_world(lease_seconds=0.2, heartbeat_seconds=0.1)
    await sign_on(world.context)

    async def is_over() -> bool:
        row = await _row(world)
        return row is not None and not row.is_alive

    await until(is_over, what="the lease to run out")
    await heartbeat(world.context)
    row = await _row(world)
    assert row is not None
    assert row.is_alive


async def test_a_worker_whose_row_was_deleted_signs_on_again(world: World) -> None:
    """And keeps the jobs that nobody has taken meanwhile."""
    world.add_tool("endless", ENDLESS)
    await sign_on(world.context)
    job = await world.submit("endless")
    delivery = await world.begin(job)
    await _delete_row(world)
    await heartbeat(world.context)
    row = await _row(world)
    assert row is not None
    assert row.id == world.context.identity.id
    assert world.context.running[job.id].stop.kind is None
    delivery.cancel()
    await asyncio.wait({delivery})
    assert world.leftovers(job) == []


async def test_a_worker_whose_name_was_taken_stops_all_it_runs(world: World) -> None:
    """Without a lease its jobs are anybody's."""
    world.add_tool("endless", ENDLESS)
    await sign_on(world.context)
    job = await world.submit("endless")
    delivery = await world.begin(job)
    await _delete_row(world)
    await _register_predecessor(world, host="another-host")
    with pytest.raises(WorkerNameTakenError):
        await heartbeat(world.context)
    await asyncio.wait_for(delivery, 10)
    assert await world.lines(job) == ["started"]
    assert world.leftovers(job) == []


async def test_what_the_store_says_is_held_here_and_nobody_runs_is_handed_back(
    world: World,
) -> None:
    """At the second look: at the first it may just be ending."""
    await sign_on(world.context)
    async with world.context.database.connect() as connection:
        stray = await claimed(connection, world.context.holder)
        unwanted = await claimed(connection, world.context.holder)
        await jobs.request_cancel(connection, unwanted.id, terminates=False)
    await heartbeat(world.context)
    assert (await world.read(stray)).status is Status.RUNNING
    await heartbeat(world.context)
    now = await world.read(stray)
    assert (now.status, now.attempt) == (Status.QUEUED, 0)
    assert (await world.read(unwanted)).status is Status.CANCELLED


async def test_a_worker_waits_for_the_lease_of_a_killed_one_in_another_container(
    make_world: MakeWorld,
) -> None:
    """Whose name it has, and of which nothing can be proved."""
    world = await make_world()
    await _register_predecessor(world, lease_seconds=1.0, boot_id="another/container")
    lifecycle = Lifecycle(world.context)
    await asyncio.wait_for(lifecycle.start({}), 10)
    row = await _row(world)
    assert row is not None
    assert row.id == world.context.identity.id
    await lifecycle.end({})


async def _delete_row(world: World) -> None:
    async with world.context.database.connect() as connection:
        await connection.execute(sa.text("DELETE FROM workers"))


_HELD_UP = """
    CREATE FUNCTION hold_up() RETURNS boolean LANGUAGE plpgsql SET lock_timeout = '30s' AS $$
    BEGIN
        IF current_setting('application_name') = 'held up' THEN
            PERFORM pg_advisory_lock(1);
        END IF;
        RETURN true;
    END $$;
    CREATE POLICY held_up ON jobs USING (hold_up());
    ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;
    ALTER TABLE jobs FORCE ROW LEVEL SECURITY;
"""
"""Has clients of one name wait for a lock when they read a job, after they began to read."""


@pytest.fixture
async def held_up(make_world: MakeWorld, database_url: str) -> AsyncGenerator[tuple[World, World]]:
    """Give a worker, and the same one with a way to PostgreSQL that can be held up."""
    world = await make_world(database_url=database_url)
    await upgrade(world.context.database)
    async with postgres_client(database_url) as connection:
        await connection.execute(_HELD_UP)
    slow = Database(database_url, name="held up")
    yield world, replace(world, context=replace(world.context, database=slow))
    await slow.close()


async def test_a_heartbeat_never_stops_what_was_claimed_meanwhile(
    held_up: tuple[World, World], database_url: str
) -> None:
    """What it reads may be older than a claim that is known here already."""
    world, slow = held_up
    world.add_tool("gated", GATED)
    await sign_on(world.context)
    async with world.context.database.connect() as connection:
        await claimed(connection, world.context.holder)  # There must be something to read.
    gate = world.folder / "gate"
    job = await world.submit("gated", {"gate": str(gate)})
    async with postgres_client(database_url) as connection:
        await connection.execute("SELECT pg_advisory_lock(1)")

        async def is_reading() -> bool:
            return await connection.fetchval(
                "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            )

        beat = asyncio.create_task(heartbeat(slow.context))
        await until(is_reading, what="the heartbeat to read")
        delivery = await world.begin(job)
        assert not beat.done()
        await connection.execute("SELECT pg_advisory_unlock(1)")
        await beat
    gate.touch()
    await delivery
    assert (await world.read(job)).status is Status.COMPLETED
