"""Cleanup: what is past retention goes, with all that belongs to it, and nothing else does."""

import asyncio
import os
import time
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from service.errors import StoppingError
from service.jobs.cleanup import cleanup
from service.store.idempotency import RequestKey, take_key
from service.store.records import Job
from service.store.states import Status
from service.store.tables import idempotency_keys
from tests.integration.jobs.aging import add_events, age, rows_of
from tests.integration.jobs.chores import Chore, move_back, runs
from tests.integration.jobs.worlds import World
from tests.integration.store.making import job_in
from tests.servers import postgres_client

LEAVE = """
    from pathlib import Path

    print("a line")
    Path("left.txt").write_text("left behind")
"""
LOCK_SECONDS = 0.1
"""The longest that cleanup may keep anybody waiting."""

LOCK_WAIT = """
    CREATE FUNCTION pg_temp.lock_wait(name text) RETURNS float8 LANGUAGE plpgsql AS $$
    DECLARE begun_at timestamptz := clock_timestamp();
    BEGIN
        EXECUTE format('LOCK TABLE %I IN SHARE MODE', name);
        RETURN extract(epoch FROM clock_timestamp() - begun_at);
    END $$
"""
"""How long PostgreSQL itself waits for a lock: no stall of this process is in it."""


async def _job(world: World, status: Status, *, hours: float) -> Job:
    async with world.context.database.connect() as connection:
        job = await job_in(connection, status)
    await age(world, job, hours=hours)
    return job


async def _finished(world: World, *, hours: float) -> Job:
    """Return a job that was really run, and ended that long ago."""
    world.add_tool("leave", LEAVE)
    job = await world.run(await world.submit("leave"))
    assert job.status is Status.COMPLETED
    await age(world, job, hours=hours)
    return job


def _make_old(path: Path, *, hours: float) -> None:
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


async def test_a_job_past_retention_goes_with_all_that_it_left(world: World) -> None:
    old, young = await _finished(world, hours=49), await _finished(world, hours=47)
    assert all(await rows_of(world, old.id))
    kept = await rows_of(world, young.id)
    assert world.kept_files() == ["left.txt", "left.txt"]
    outcome = await cleanup(world.context)
    assert (outcome.jobs, outcome.orphans) == (1, 0)
    assert await rows_of(world, old.id) == [0, 0, 0, 0]
    assert await rows_of(world, young.id) == kept
    assert world.kept_files() == ["left.txt"]


@pytest.mark.parametrize("status", [Status.PENDING, Status.QUEUED, Status.RUNNING])
async def test_a_job_that_has_not_ended_stays_however_old_it_is(
    world: World, status: Status
) -> None:
    job = await _job(world, status, hours=1000)
    before = await rows_of(world, job.id)
    assert (await cleanup(world.context)).jobs == 0
    assert await rows_of(world, job.id) == before


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
async def test_a_job_goes_however_it_ended(world: World, status: Status) -> None:
    job = await _job(world, status, hours=49)
    assert (await cleanup(world.context)).jobs == 1
    assert await rows_of(world, job.id) == [0, 0, 0, 0]


async def test_a_job_that_ended_of_late_stays_however_long_it_took(world: World) -> None:
    job = await _job(world, Status.COMPLETED, hours=100)
    async with world.context.database.connect() as connection:
        await connection.execute(sa.text("UPDATE jobs SET completed_at = now()"))
    assert (await cleanup(world.context)).jobs == 0
    assert (await rows_of(world, job.id))[0] == 1


async def test_two_cleanups_at_once_delete_each_job_once(world: World) -> None:
    for _ in range(60):
        await _job(world, Status.COMPLETED, hours=49)
    both = await asyncio.gather(cleanup(world.context), cleanup(world.context))
    rest = await cleanup(world.context)
    assert sum(each.jobs for each in (*both, rest)) == 60
    async with world.context.database.connect() as connection:
        row = (await connection.execute(sa.text("SELECT successes FROM past_statistics"))).one()
    assert row.successes == 60


async def test_files_whose_job_is_gone_are_found(world: World) -> None:
    """A worker was killed between a job's rows and its files, say."""
    store = world.context.settings.artifacts
    orphan, fresh, stranger = store / str(uuid4()), store / str(uuid4()), store / "not-a-job"
    unfinished = store / ".incoming" / f"{uuid4()}-1-abc"
    for folder in (orphan, fresh, stranger, unfinished):
        (folder / "1").mkdir(parents=True)
        (folder / "1" / f"{folder.name}.txt").touch()
        _make_old(folder, hours=0 if folder == fresh else 49)
    job = await _finished(world, hours=1)
    _make_old(store / str(job.id), hours=49)
    assert (await cleanup(world.context)).orphans == 2
    assert world.kept_files() == sorted([f"{fresh.name}.txt", f"{stranger.name}.txt", "left.txt"])


async def test_a_cleanup_stops_with_its_worker(world: World) -> None:
    job = await _job(world, Status.COMPLETED, hours=49)
    world.context.is_draining = True
    with pytest.raises(StoppingError):
        await cleanup(world.context)
    assert (await rows_of(world, job.id))[0] == 1


async def test_keys_of_requests_go_after_a_day(world: World) -> None:
    """Their jobs stay: they are kept for longer."""
    async with world.context.database.begin() as connection:
        for key in ("old", "young"):
            job = await job_in(connection, Status.COMPLETED)
            assert await take_key(connection, RequestKey("me", key, b"hash"), job.id) is None
        await connection.execute(
            sa.update(idempotency_keys)
            .where(idempotency_keys.c.key == "old")
            .values(created_at=idempotency_keys.c.created_at - timedelta(hours=25))
        )
    outcome = await cleanup(world.context)
    assert (outcome.jobs, outcome.request_keys) == (0, 1)


async def test_old_cron_runs_go_too(world: World) -> None:
    chore = Chore()
    for _ in range(2):
        await chore.keeper(world).tick()
        await chore.do(world, (await runs(world))[-1])
        await move_back(world, hours=49)
    assert (await cleanup(world.context)).cron_runs == 1
    assert len(await runs(world)) == 1


async def test_nobody_waits_long_for_a_cleanup_of_many_rows(
    world: World, migrated_url: str
) -> None:
    """Asked by somebody who wants to lock one table or the other all the while."""
    jobs = [await _job(world, Status.COMPLETED, hours=49) for _ in range(200)]
    for job in jobs[:5]:
        await add_events(world, job, 20_000)
    waits: list[float] = []
    async with postgres_client(migrated_url) as client:
        await client.execute(LOCK_WAIT)
        cleaning = asyncio.create_task(cleanup(world.context))
        while not cleaning.done():
            table = ("job_events", "jobs")[len(waits) % 2]
            waits.append(await client.fetchval("SELECT pg_temp.lock_wait($1)", table))
    outcome = await cleaning
    assert (outcome.jobs, outcome.events) == (200, 100_000 + 200 * 3)
    assert len(waits) > 20
    late = [wait for wait in waits if wait > LOCK_SECONDS]
    # A machine that is busy with something else may stall anybody now and then.
    assert len(late) <= len(waits) / 20, sorted(late)
