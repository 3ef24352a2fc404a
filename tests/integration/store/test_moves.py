"""Every legal move, and the guard that makes each one safe."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import jobs, lookup
from service.store.database import Database
from service.store.records import Job, NewArtifact
from service.store.states import EDGES, MOVES, Move, Reason, Status
from tests.integration.store.making import (
    CANCELLED,
    FAILURE,
    NEW,
    SUCCESS,
    claimed,
    footprint,
    job_in,
    somebody,
    transitions,
)

Act: TypeAlias = Callable[[AsyncConnection, Job], Awaitable[Job | None]]

ACTS: dict[Move, Act] = {
    Move.ENQUEUE: lambda connection, job: jobs.mark_enqueued(connection, job.id),
    Move.CLAIM: lambda connection, job: jobs.claim(connection, job.id, somebody()),
    Move.COMPLETE: lambda connection, job: jobs.complete(connection, job, SUCCESS),
    Move.FAIL: lambda connection, job: jobs.fail(connection, job, FAILURE),
    Move.RETRY: lambda connection, job: jobs.retry(connection, job, FAILURE),
    Move.STOP: lambda connection, job: jobs.stop(connection, job, CANCELLED),
    Move.REVOKE: lambda connection, job: jobs.revoke(connection, job.id),
    Move.RELEASE: jobs.release,
}
HELD = [Move.COMPLETE, Move.FAIL, Move.RETRY, Move.STOP, Move.RELEASE]


@pytest.mark.parametrize("source", Status)
@pytest.mark.parametrize("move", ACTS)
async def test_a_move_starts_where_the_table_says_and_nowhere_else(
    connection: AsyncConnection, move: Move, source: Status
) -> None:
    """From any other status it changes neither row nor events, and says so by None."""
    job = await job_in(connection, source)
    before = await footprint(connection, job)
    moved = await ACTS[move](connection, job)
    if source in MOVES[move].sources:
        assert moved is not None
        assert moved.status is MOVES[move].target
        assert (await transitions(connection, job))[-1] == (source, MOVES[move].target)
    else:
        assert moved is None
        assert await footprint(connection, job) == before


@pytest.mark.parametrize("move", HELD)
async def test_a_stale_fence_changes_nothing(connection: AsyncConnection, move: Move) -> None:
    """Whoever claimed the job before somebody else did finds that it is not his any more."""
    stale = await claimed(connection)
    assert await jobs.release(connection, stale) is not None
    current = await jobs.claim(connection, stale.id, somebody())
    assert current is not None
    before = await footprint(connection, current)
    assert await ACTS[move](connection, stale) is None
    assert await footprint(connection, current) == before
    assert await ACTS[move](connection, current) is not None


@pytest.mark.parametrize("move", [Move.COMPLETE, Move.FAIL, Move.RETRY, Move.RELEASE])
async def test_a_cancel_that_commits_first_wins(connection: AsyncConnection, move: Move) -> None:
    """A job somebody has cancelled does not end otherwise, and never waits again."""
    job = await claimed(connection)
    assert await jobs.request_cancel(connection, job.id, terminates=False) is not None
    before = await footprint(connection, job)
    assert await ACTS[move](connection, job) is None
    assert await footprint(connection, job) == before
    stopped = await jobs.stop(connection, job, CANCELLED)
    assert stopped is not None
    assert stopped.status is Status.CANCELLED


async def test_a_waiting_job_that_is_cancelled_cannot_be_claimed(
    connection: AsyncConnection,
) -> None:
    """Should a row ever carry a wish and wait, nobody starts it."""
    job = await job_in(connection, Status.QUEUED)
    await connection.execute(
        sa.text("UPDATE jobs SET cancel_requested_at = now() WHERE id = :id"), {"id": job.id}
    )
    assert await jobs.claim(connection, job.id, somebody()) is None


async def test_a_claim_counts_and_names_its_worker(connection: AsyncConnection) -> None:
    job = await jobs.create(connection, NEW)
    holder = somebody("worker@one")
    running = await jobs.claim(connection, job.id, holder)
    assert running is not None
    assert (running.fence, running.attempt) == (1, 1)
    assert (running.worker, running.worker_id) == ("worker@one", holder.id)
    assert running.started_at is not None
    assert running.queued_at is not None


async def test_of_many_claims_one_wins(database: Database) -> None:
    """Delivered twice, or ten times at once, a job starts once."""
    async with database.connect() as connection:
        job = await jobs.create(connection, NEW)

    async def claim() -> Job | None:
        async with database.connect() as connection:
            return await jobs.claim(connection, job.id, somebody())

    claims = await asyncio.gather(*(claim() for _ in range(10)))
    assert sum(each is not None for each in claims) == 1
    async with database.connect() as connection:
        assert (await lookup.get_job(connection, job.id)).fence == 1


async def test_of_a_claim_and_a_revoke_one_wins(database: Database) -> None:
    async def race() -> None:
        async with database.connect() as connection:
            job = await jobs.create(connection, NEW)

        async def claim() -> Job | None:
            async with database.connect() as connection:
                return await jobs.claim(connection, job.id, somebody())

        async def revoke() -> Job | None:
            async with database.connect() as connection:
                return await jobs.revoke(connection, job.id)

        results = await asyncio.gather(claim(), revoke())
        assert sum(each is not None for each in results) == 1

    await asyncio.gather(*(race() for _ in range(4)))


async def test_a_retry_waits_its_time(connection: AsyncConnection) -> None:
    """Until then it is queued, not claimable, and says when the next attempt is."""
    job = await claimed(connection)
    waiting = await jobs.retry(connection, job, FAILURE)
    assert waiting is not None
    assert waiting.queued_at is not None
    assert waiting.next_attempt_at is not None
    assert (waiting.next_attempt_at - waiting.queued_at).total_seconds() == pytest.approx(60)
    assert (waiting.status, waiting.attempt, waiting.worker) == (Status.QUEUED, 1, None)
    assert (waiting.reason, waiting.return_code) == (Reason.ERROR, 1)
    assert await jobs.claim(connection, job.id, somebody()) is None
    await connection.execute(
        sa.text("UPDATE jobs SET next_attempt_at = now() WHERE id = :id"), {"id": job.id}
    )
    again = await jobs.claim(connection, job.id, somebody())
    assert again is not None
    assert (again.attempt, again.fence, again.next_attempt_at) == (2, 2, None)
    assert again.reason is None


async def test_a_release_gives_the_attempt_back(connection: AsyncConnection) -> None:
    job = await claimed(connection)
    released = await jobs.release(connection, job)
    assert released is not None
    assert (released.status, released.attempt, released.fence) == (Status.QUEUED, 0, 1)
    assert released.reason is Reason.SHUTDOWN


async def test_a_result_and_its_artifacts_come_with_the_move(connection: AsyncConnection) -> None:
    job = await claimed(connection)
    ending = replace(
        SUCCESS,
        output="done\n",
        output_bytes=5,
        artifacts=[NewArtifact("graph.html", "text/html", 12, "0" * 64, "key")],
        facts={"signals": []},
    )
    await jobs.complete(connection, job, ending)
    detail = await lookup.get_detail(connection, job.id)
    assert detail.result is not None
    assert (detail.result.output, detail.result.fence) == ("done\n", 1)
    assert detail.artifact_names == ("graph.html",)
    artifact = await lookup.get_artifact(connection, job.id, "graph.html")
    assert (artifact.size, artifact.location) == (12, "key")


async def test_a_refused_move_leaves_no_result(connection: AsyncConnection) -> None:
    """Guard, result and artifacts are one statement: all of it or nothing."""
    stale = await claimed(connection)
    await jobs.release(connection, stale)
    late = replace(SUCCESS, artifacts=[NewArtifact("a", "text/plain", 1, "0" * 64, "key")])
    assert await jobs.complete(connection, stale, late) is None
    detail = await lookup.get_detail(connection, stale.id)
    assert detail.result is None
    assert detail.artifact_names == ()


async def test_a_later_attempt_replaces_the_result(connection: AsyncConnection) -> None:
    job = await claimed(connection)
    await jobs.retry(
        connection, replace(job, retry_delay_seconds=0.0), replace(FAILURE, output="first")
    )
    again = await jobs.claim(connection, job.id, somebody())
    assert again is not None
    await jobs.complete(connection, again, replace(SUCCESS, output="second"))
    detail = await lookup.get_detail(connection, job.id)
    assert detail.result is not None
    assert (detail.result.output, detail.result.fence) == ("second", 2)


async def test_a_wish_to_terminate_is_never_weakened(connection: AsyncConnection) -> None:
    job = await claimed(connection)
    asked = await jobs.request_cancel(connection, job.id, terminates=True)
    again = await jobs.request_cancel(connection, job.id, terminates=False)
    assert asked is not None
    assert again is not None
    assert again.cancel_terminates
    assert again.cancel_requested_at == asked.cancel_requested_at


@pytest.mark.parametrize("status", set(Status) - {Status.RUNNING})
async def test_only_a_running_job_can_be_asked_to_stop(
    connection: AsyncConnection, status: Status
) -> None:
    job = await job_in(connection, status)
    before = await footprint(connection, job)
    assert await jobs.request_cancel(connection, job.id, terminates=True) is None
    assert await footprint(connection, job) == before


@pytest.mark.parametrize("target", Status)
@pytest.mark.parametrize("source", Status)
async def test_the_database_itself_refuses_what_the_table_does_not_know(
    connection: AsyncConnection, source: Status, target: Status
) -> None:
    """The trigger is the second line: it and the table of moves say the same of every pair."""
    job = await job_in(connection, source)
    change = sa.text(
        """
        UPDATE jobs SET status = :target,
            worker = CASE WHEN :target = 'running' THEN 'w' END,
            worker_id = CASE WHEN :target = 'running' THEN gen_random_uuid() END,
            completed_at = CASE WHEN :is_final THEN now() END
        WHERE id = :id
        """
    )
    values = {"id": job.id, "target": str(target), "is_final": target.is_final}
    if (source, target) in EDGES:
        await connection.execute(change, values)
        assert (await lookup.get_job(connection, job.id)).status is target
    else:
        with pytest.raises(IntegrityError, match=f"no move leads from {source} to {target}"):
            await connection.execute(change, values)
