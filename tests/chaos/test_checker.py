"""The checker finds what it is there to find: each invariant is broken once, in a real database."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.store import jobs
from service.store.database import Database
from service.store.records import Job
from service.store.rescue import rescue_lost
from tests.chaos.checker import Violation, check
from tests.chaos.invariants import INVARIANTS
from tests.integration.store.making import CANCELLED, FAILURE, NEW, SUCCESS, somebody
from tests.servers import postgres_client

_CONSTRAINTS = """
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS dropping
    FROM pg_constraint WHERE contype = 'c' AND conrelid::regclass IN ('jobs'::regclass)
"""
_EVENT = """
    WITH moved AS (UPDATE jobs SET last_seq = last_seq + 1 WHERE id = $1 RETURNING *)
    INSERT INTO job_events (job_id, seq, last_seq, kind, fence, data)
    SELECT id, last_seq, last_seq, 'status', fence,
           jsonb_build_object('move', $2::text, 'status', $3::text, 'worker', 'worker@here')
    FROM moved
"""
_LINE = """
    WITH moved AS (UPDATE jobs SET last_seq = last_seq + 1 WHERE id = $1 RETURNING *)
    INSERT INTO job_events (job_id, seq, last_seq, kind, fence, data)
    SELECT id, last_seq, last_seq, 'log', fence,
           jsonb_build_object('at', now(), 'lines', jsonb_build_array(
               jsonb_build_array('stdout', 0, format('%s:%s says', id, fence + 1))))
    FROM moved
"""


async def waiting(store: Database) -> Job:
    async with store.connect() as connection:
        job = await jobs.create(connection, NEW)
        return await jobs.mark_enqueued(connection, job.id) or job


async def running(store: Database) -> Job:
    job = await waiting(store)
    async with store.connect() as connection:
        claimed = await jobs.claim(connection, job.id, somebody())
    assert claimed is not None
    return claimed


async def ended(store: Database) -> Job:
    job = await running(store)
    async with store.connect() as connection:
        done = await jobs.complete(connection, job, SUCCESS)
    assert done is not None
    return done


async def broken(url: str, *statements: str, job_id: UUID | None = None) -> None:
    """Write what no statement of the service's would, with no second line to refuse it."""
    async with postgres_client(url) as connection:
        await connection.execute("ALTER TABLE jobs DISABLE TRIGGER USER")
        for row in await connection.fetch(_CONSTRAINTS):
            await connection.execute(row["dropping"])
        for each in statements:
            await connection.execute(each, *([job_id] if job_id else []))


async def added(url: str, job_id: UUID, move: str, status: str) -> None:
    """Write one more event of a move."""
    async with postgres_client(url) as connection:
        await connection.execute(_EVENT, job_id, move, status)


def names(violations: list[Violation]) -> set[str]:
    return {each.invariant for each in violations}


async def test_what_legal_moves_leave_breaks_nothing(store: Database, database_url: str) -> None:
    """Every move there is, some of them several times, on eight jobs."""
    await ended(store)
    async with store.connect() as connection:
        await jobs.fail(connection, await running(store), FAILURE)
        again = await running(store)
        await jobs.retry(connection, replace(again, retry_delay_seconds=0.0), FAILURE)
        again = await jobs.claim(connection, again.id, somebody())
        assert again is not None
        await jobs.release(connection, again)
        await jobs.revoke(connection, again.id)
        unwanted = await running(store)
        await jobs.request_cancel(connection, unwanted.id, terminates=False)
        assert await jobs.complete(connection, unwanted, SUCCESS) is None
        await jobs.stop(connection, unwanted, CANCELLED)
        lost = [await running(store) for _ in range(3)]
        await jobs.request_cancel(connection, lost[0].id, terminates=False)
        async with postgres_client(database_url) as client:
            await client.execute("UPDATE jobs SET losses = 0 WHERE id = $1", lost[1].id)
        taken = await rescue_lost(connection, lease_seconds=0, max_losses=2)
        assert {job.id for job in taken} == {job.id for job in lost}
        for job in lost[1:]:
            assert await jobs.claim(connection, job.id, somebody())
        await rescue_lost(connection, lease_seconds=0, max_losses=2)
    assert await check(database_url) == []


BY_STATEMENT: dict[str, tuple[str, ...]] = {
    "all is settled": (),
    "nobody waits unwanted": (
        "UPDATE jobs SET cancel_requested_at = now(), status = 'queued' WHERE id = $1",
    ),
    "everything is counted": ("UPDATE jobs SET attempt = attempt + 1 WHERE id = $1",),
    "fences only grow": (
        "UPDATE job_events SET fence = fence + 1 WHERE job_id = $1 AND data ->> 'move' = 'claim'",
    ),
    "numbers without holes": (
        "DELETE FROM job_events WHERE job_id = $1 AND data ->> 'move' = 'enqueue'",
    ),
    "the last move is the row": ("UPDATE jobs SET status = 'failed' WHERE id = $1",),
    "a holder while it runs": ("UPDATE jobs SET worker = NULL WHERE id = $1",),
    "nobody starts early": (
        """UPDATE job_events SET data = data || jsonb_build_object('next_attempt_at',
               now() + interval '1 hour') WHERE job_id = $1 AND data ->> 'move' = 'enqueue'""",
    ),
    "lines stand where they belong": (_LINE,),
}
"""What is written over a running job, by the invariant that this breaks."""


@pytest.mark.parametrize("name", BY_STATEMENT)
async def test_a_broken_row_is_found(store: Database, database_url: str, name: str) -> None:
    job = await running(store)
    assert names(await check(database_url, is_settled=False)) == set()
    await broken(database_url, *BY_STATEMENT[name], job_id=job.id)
    assert name in names(await check(database_url))


BY_EVENT = {
    "one end": ("complete", "completed"),
    "silence after the end": ("request_cancel", "completed"),
    "legal moves": ("claim", "running"),
    "wishes reach running jobs": ("request_cancel", "completed"),
}
"""One event too many of a job that has ended."""


@pytest.mark.parametrize("name", BY_EVENT)
async def test_an_event_too_many_is_found(store: Database, database_url: str, name: str) -> None:
    job = await ended(store)
    assert await check(database_url) == []
    await added(database_url, job.id, *BY_EVENT[name])
    assert name in names(await check(database_url))


async def test_an_end_of_a_job_with_a_promised_cancel_is_found(
    store: Database, database_url: str
) -> None:
    job = await running(store)
    async with store.connect() as connection:
        await jobs.request_cancel(connection, job.id, terminates=False)
        await broken(database_url, "UPDATE jobs SET cancel_requested_at = NULL")
        assert await jobs.complete(connection, job, SUCCESS)
    assert names(await check(database_url)) == {"a promised cancel is kept"}


async def test_a_claim_after_a_promised_cancel_is_found(store: Database, database_url: str) -> None:
    await running(store)
    await broken(database_url, "UPDATE jobs SET cancel_requested_at = started_at - interval '1 ms'")
    assert names(await check(database_url, is_settled=False)) == {"a promised cancel is kept"}


async def test_an_end_by_somebody_else_is_found(store: Database, database_url: str) -> None:
    job = await running(store)
    async with store.connect() as connection:
        assert await jobs.complete(connection, replace(job, worker="worker@elsewhere"), SUCCESS)
    assert names(await check(database_url)) == {"its holder ends it"}


async def test_a_lost_result_is_found(store: Database, database_url: str) -> None:
    await ended(store)
    await broken(database_url, "DELETE FROM results")
    assert names(await check(database_url)) == {"no result is lost"}


async def test_ids_that_do_not_match_are_found(store: Database, database_url: str) -> None:
    job, unknown = await ended(store), uuid4()
    assert await check(database_url, accepted=[job.id]) == []
    lost = Violation("nothing accepted is lost", unknown, "the client has an id, nobody a job")
    assert await check(database_url, accepted=[job.id, unknown]) == [lost]
    assert names(await check(database_url, accepted=[])) == {"nothing comes from nowhere"}
    assert await check(database_url, accepted=[], others_may_exist=True) == []


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wrote(folder: Path, job: Job, *lines: tuple[str, float], fence: int = 1) -> None:
    """Leave the file of a run, its moments in seconds from now."""
    text = "".join(f"{word} {_now() + moment}\n" for word, moment in lines)
    (folder / f"{job.id}:{fence}").write_text(text)


RUNS: dict[str, tuple[tuple[str, float], ...]] = {
    "one start a claim": (("start", 0), ("start", 0.001), ("end", 0.002)),
    "who completed has run": (("start", 0), ("tick", 0.001)),
    "ended, then gone": (("start", 0), ("end", 0.001), ("tick", 5)),
    "claimed, then run": (("start", -5), ("end", 0)),
}


@pytest.mark.parametrize("name", RUNS)
async def test_a_run_that_does_not_fit_its_attempt_is_found(
    store: Database, database_url: str, tmp_path: Path, name: str
) -> None:
    job = await ended(store)
    wrote(tmp_path, job, ("start", 0), ("tick", 0.001), ("end", 0.002))
    assert await check(database_url, ticks=tmp_path) == []
    wrote(tmp_path, job, *RUNS[name])
    assert names(await check(database_url, ticks=tmp_path)) == {name}


async def test_runs_at_one_time_are_found(
    store: Database, database_url: str, tmp_path: Path
) -> None:
    """By the signs of life of both; that one begins when the other has ended is well."""
    job = await running(store)
    async with store.connect() as connection:
        await jobs.release(connection, job)
        assert await jobs.claim(connection, job.id, somebody())
    wrote(tmp_path, job, ("start", 0), ("tick", 0.2))
    wrote(tmp_path, job, ("start", 0.3), ("tick", 0.4), fence=2)
    assert await check(database_url, ticks=tmp_path, is_settled=False) == []
    wrote(tmp_path, job, ("start", 0.1), ("tick", 0.4), fence=2)
    [violation] = await check(database_url, ticks=tmp_path, is_settled=False)
    assert violation.invariant == "one process tree at a time"
    assert violation.detail.startswith("fences 1 and 2 ran together for 0.")


async def test_a_run_that_nobody_claimed_is_found(
    store: Database, database_url: str, tmp_path: Path
) -> None:
    job = await ended(store)
    wrote(tmp_path, job, ("start", 0), ("end", 0.001))
    wrote(tmp_path, job, ("start", 0.1), ("end", 0.2), fence=2)
    assert names(await check(database_url, ticks=tmp_path)) == {"claimed, then run"}


def test_every_invariant_is_broken_here() -> None:
    """Who adds one shows that it finds something."""
    directly: set[Any] = {"a promised cancel is kept", "its holder ends it", "no result is lost"}
    assert {each.name for each in INVARIANTS} == {*BY_STATEMENT, *BY_EVENT, *directly}
