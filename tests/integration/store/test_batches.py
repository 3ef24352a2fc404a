"""The moves for many jobs: each row keeps its own guard, whoever else is in the batch."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import StoreUnavailableError
from service.store import jobs, lookup
from service.store.database import Database
from service.store.records import Ending, Job, NewArtifact
from service.store.states import Move, Status
from tests.integration.store.making import (
    FAILURE,
    NEW,
    SUCCESS,
    claimed,
    footprint,
    job_in,
    somebody,
    transitions,
)
from tests.servers import postgres_client
from tests.waiting import until


async def _claimed(connection: AsyncConnection, count: int) -> list[Job]:
    return [await claimed(connection) for _ in range(count)]


async def test_a_batch_of_claims_takes_what_may_be_taken(connection: AsyncConnection) -> None:
    """Unknown, cancelled, running and not yet due ones are left out, the others are taken."""
    holder = somebody("worker@one")
    waiting = [await jobs.create(connection, NEW), await job_in(connection, Status.QUEUED)]
    others = [await job_in(connection, status) for status in Status if status.is_final]
    running = await claimed(connection)
    later = await jobs.retry(connection, await claimed(connection), FAILURE)
    unwanted = await jobs.create(connection, NEW)
    await connection.execute(
        sa.text("UPDATE jobs SET cancel_requested_at = now() WHERE id = :id"), {"id": unwanted.id}
    )
    assert later is not None
    others += [running, later, await lookup.get_job(connection, unwanted.id)]
    before = [await footprint(connection, job) for job in others]
    asked = [uuid4(), *(job.id for job in [*others, *waiting])]
    won = await jobs.claim_many(connection, asked, holder)
    assert won.keys() == {job.id for job in waiting}
    assert {(job.worker_id, job.fence) for job in won.values()} == {(holder.id, 1)}
    assert [await footprint(connection, job) for job in others] == before


async def test_a_job_asked_for_twice_in_a_batch_is_claimed_once(
    connection: AsyncConnection,
) -> None:
    job = await jobs.create(connection, NEW)
    won = await jobs.claim_many(connection, [job.id, job.id], somebody())
    assert [each.fence for each in won.values()] == [1]
    assert await transitions(connection, job) == [(None, "pending"), ("pending", "running")]


async def test_nothing_asked_is_nothing_done(connection: AsyncConnection) -> None:
    assert await jobs.claim_many(connection, [], somebody()) == {}


@pytest.mark.parametrize("move", [Move.COMPLETE, Move.FAIL, Move.RETRY])
async def test_in_a_batch_of_ends_each_job_meets_its_own_guard(
    connection: AsyncConnection, move: Move
) -> None:
    """Of a stale, a cancelled, an ended, an unknown and a held job, only the held one moves."""
    held, stale, cancelled, ended = await _claimed(connection, 4)
    assert await jobs.release(connection, stale) is not None
    assert await jobs.claim(connection, stale.id, somebody()) is not None
    assert await jobs.request_cancel(connection, cancelled.id, terminates=False) is not None
    assert await jobs.complete(connection, ended, SUCCESS) is not None
    unknown = replace(held, id=uuid4())
    refused = [stale, cancelled, ended]
    before = [await footprint(connection, job) for job in refused]
    late = replace(FAILURE, artifacts=[NewArtifact("a", "text/plain", 1, "0" * 64, "key")])
    given = [(job, late) for job in (stale, cancelled, ended, unknown)]
    moved = await jobs.end_many(connection, move, [*given, (held, SUCCESS)])
    assert moved.keys() == {held.id}
    assert [await footprint(connection, job) for job in refused] == before
    for job in refused:
        assert (await lookup.get_detail(connection, job.id)).artifact_names == ()


async def test_a_batch_of_stops_ends_cancelled_jobs_too(connection: AsyncConnection) -> None:
    plain, cancelled = await _claimed(connection, 2)
    assert await jobs.request_cancel(connection, cancelled.id, terminates=True) is not None
    moved = await jobs.end_many(connection, Move.STOP, [(plain, FAILURE), (cancelled, FAILURE)])
    assert {job.status for job in moved.values()} == {Status.CANCELLED}
    assert len(moved) == 2


async def test_each_job_of_a_batch_gets_its_own_result(connection: AsyncConnection) -> None:
    held = await _claimed(connection, 20)
    ends = [(job, _saying(str(place))) for place, job in enumerate(held)]
    await jobs.end_many(connection, Move.COMPLETE, list(reversed(ends)))
    for job, ending in ends:
        detail = await lookup.get_detail(connection, job.id)
        assert detail.result is not None
        assert detail.result.output == ending.output
        assert detail.artifact_names == (f"{ending.output}.txt",)
        assert detail.job.message == ending.message


async def test_an_attempt_that_ends_twice_in_a_batch_ends_once(
    connection: AsyncConnection,
) -> None:
    job = await claimed(connection)
    await jobs.end_many(connection, Move.FAIL, [(job, FAILURE), (job, FAILURE)])
    assert [each for _, each in await transitions(connection, job)] == [
        "pending",
        "running",
        "failed",
    ]


async def test_a_batch_that_fails_has_moved_nobody(connection: AsyncConnection) -> None:
    """A batch is one transaction: an end that PostgreSQL refuses undoes its neighbours'."""
    good, bad = await _claimed(connection, 2)
    before = [await footprint(connection, job) for job in (good, bad)]
    twice = NewArtifact("same", "text/plain", 1, "0" * 64, "key")
    with pytest.raises(Exception, match="uq_artifacts_job_id_name"):
        await jobs.end_many(
            connection,
            Move.COMPLETE,
            [(good, SUCCESS), (bad, replace(SUCCESS, artifacts=[twice, twice]))],
        )
    assert [await footprint(connection, job) for job in (good, bad)] == before


async def test_of_many_batches_over_the_same_jobs_each_job_has_one_winner(
    database: Database,
) -> None:
    """Two workers race over 500 ids, each in an order of its own, and nobody waits for ever."""
    async with database.connect() as connection:
        made = [(await jobs.create(connection, NEW)).id for _ in range(500)]
    won: dict[str, set[UUID]] = {"one": set(), "two": set()}

    async def take(name: str, ids: Sequence[UUID], count: int) -> None:
        holder = somebody(name)
        for start in range(0, len(ids), count):
            async with database.connect() as connection:
                taken = await jobs.claim_many(connection, ids[start : start + count], holder)
            won[name] |= taken.keys()

    await asyncio.gather(take("one", made, 50), take("two", made[::-1], 70))
    assert won["one"] | won["two"] == set(made)
    assert not won["one"] & won["two"]
    assert won["one"]
    assert won["two"]
    async with database.connect() as connection:
        assert await _badly_numbered(connection) == 0
        fences = await connection.execute(sa.text("SELECT DISTINCT fence FROM jobs"))
        assert fences.scalars().all() == [1]


async def test_batches_that_overlap_lock_in_one_order(database: Database) -> None:
    """However the jobs of two batches are named, neither waits for a row that waits for it."""
    async with database.connect() as connection:
        held = await _claimed(connection, 60)

    async def end(order: Sequence[Job]) -> int:
        async with database.connect() as connection:
            return len(await jobs.end_many(connection, Move.FAIL, [(j, FAILURE) for j in order]))

    orders = [held if each % 2 else held[::-1] for each in range(8)]
    assert sum(await asyncio.gather(*map(end, orders))) == len(held)


class _SecondThoughtsError(Exception):
    pass


async def test_in_a_transaction_a_batch_is_part_of_it(database: Database) -> None:
    """Statements that go to the driver itself are undone with the others."""
    async with database.connect() as connection:
        made = [(await jobs.create(connection, NEW)).id for _ in range(3)]
    with suppress(_SecondThoughtsError):
        async with database.begin() as connection:
            assert len(await jobs.claim_many(connection, made, somebody())) == 3
            raise _SecondThoughtsError
    async with database.connect() as connection:
        statuses = [(await lookup.get_job(connection, each)).status for each in made]
    assert statuses == [Status.PENDING] * 3


async def test_a_connection_that_broke_in_a_batch_is_not_used_again(database: Database) -> None:
    """The pool never learns from the driver what happened; it has to be told."""
    async with database.connect() as connection:
        made = (await jobs.create(connection, NEW)).id

    async def claim_on_a_broken_one() -> None:
        async with database.connect() as connection, database.connect() as other:
            pid = (await connection.execute(sa.text("SELECT pg_backend_pid()"))).scalar_one()
            await other.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            await jobs.claim_many(connection, [made], somebody())

    with pytest.raises(StoreUnavailableError):
        await claim_on_a_broken_one()
    for _ in range(20):
        async with database.connect() as connection:
            await jobs.mark_enqueued(connection, made)


async def test_connections_that_a_restart_closed_in_the_pool_are_made_anew(
    database: Database, migrated_url: str
) -> None:
    """Not one batch pays for each of them."""
    async with database.connect() as connection:
        made = [(await jobs.create(connection, NEW)).id for _ in range(3)]
    told: list[str] = []
    database = Database(migrated_url, pool_size=3)
    database.on_lost(lambda: told.append("lost"))
    drivers: list[Any] = []
    async with AsyncExitStack() as open_at_once:
        for _ in made:
            connection = await open_at_once.enter_async_context(database.connect())
            drivers.append((await connection.get_raw_connection()).driver_connection)
    async with postgres_client(migrated_url) as other:
        for driver in drivers:
            pid = driver.get_server_pid()
            await other.execute("SELECT pg_terminate_backend($1, 5000)", pid)
    await until(lambda: all(each.is_closed() for each in drivers), what="the driver to notice")
    async with AsyncExitStack() as open_at_once:
        for each in made:
            connection = await open_at_once.enter_async_context(database.connect())
            assert len(await jobs.claim_many(connection, [each], somebody())) == 1
    assert len(told) == len(drivers)
    await database.close()


async def _badly_numbered(connection: AsyncConnection) -> int:
    """Count the jobs whose events are not numbered 1 to the row's last number."""
    found = await connection.execute(
        sa.text(
            """
            SELECT count(*) FROM (
                SELECT jobs.id FROM jobs JOIN job_events ON job_events.job_id = jobs.id
                GROUP BY jobs.id
                HAVING count(*) <> jobs.last_seq OR max(seq) <> jobs.last_seq OR min(seq) <> 1
            ) AS wrong
            """
        )
    )
    return found.scalar_one()


def _saying(text: str) -> Ending:
    kept = NewArtifact(f"{text}.txt", "text/plain", 1, "0" * 64, f"key-{text}")
    return replace(SUCCESS, message=text, output=text, artifacts=[kept])
