"""Claiming without a delivery: which job is next, and whose it is."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.config import QUEUES
from service.store import jobs, lookup, workers
from service.store.database import Database
from service.store.next_job import claim_next
from service.store.records import Holder, Job
from service.store.states import Status
from service.store.tables import jobs as jobs_table
from tests.integration.store.making import FAILURE, NEW, claimed, signed_on, transitions


@pytest.fixture
async def holder(connection: AsyncConnection) -> Holder:
    """Give a worker with a lease."""
    return await signed_on(connection)


async def _waiting(connection: AsyncConnection, **changes: object) -> Job:
    new = replace(NEW, **changes)  # pyright: ignore[reportArgumentType]  # Tests name real fields.
    return await jobs.create(connection, new)


async def _set(connection: AsyncConnection, job: Job, **values: object) -> None:
    await connection.execute(sa.update(jobs_table).where(jobs_table.c.id == job.id).values(values))


async def _all_in_order(connection: AsyncConnection, holder: Holder, *queues: str) -> list[UUID]:
    taken: list[UUID] = []
    while (job := await claim_next(connection, holder, queues or QUEUES)) is not None:
        taken.append(job.id)
    return taken


async def test_it_is_a_claim_as_any_other(connection: AsyncConnection, holder: Holder) -> None:
    job = await _waiting(connection)
    won = await claim_next(connection, holder, QUEUES)
    assert won is not None
    assert (won.id, won.status, won.fence, won.attempt) == (job.id, Status.RUNNING, 1, 1)
    assert (won.worker, won.worker_id) == (holder.name, holder.id)
    assert await transitions(connection, job) == [(None, "pending"), ("pending", "running")]
    assert await claim_next(connection, holder, QUEUES) is None


async def test_the_first_is_that_of_the_highest_priority_that_came_first(
    connection: AsyncConnection, holder: Holder
) -> None:
    """Whether it was delivered or not."""
    made = [await _waiting(connection, priority=each) for each in (5, 3, 5, 3, 1, 10)]
    await jobs.mark_enqueued(connection, made[2].id)
    await jobs.mark_enqueued(connection, made[1].id)
    await _set(connection, made[3], created_at=datetime.now(UTC) - timedelta(hours=1))
    expected = [made[each].id for each in (4, 3, 1, 0, 2, 5)]
    assert await _all_in_order(connection, holder) == expected


async def test_only_the_queues_asked_for_are_looked_at(
    connection: AsyncConnection, holder: Holder
) -> None:
    made = {each: await _waiting(connection, queue=each) for each in QUEUES}
    assert await _all_in_order(connection, holder, "default") == [made["default"].id]
    both = [made["tools"].id, made["maintenance"].id]
    assert await _all_in_order(connection, holder, "maintenance", "tools") == both


async def test_a_job_that_must_wait_or_is_not_wanted_is_left(
    connection: AsyncConnection, holder: Holder
) -> None:
    retried = await claimed(connection, holder)
    assert await jobs.retry(connection, retried, FAILURE) is not None
    cancelled, besides = await _waiting(connection), await _waiting(connection)
    await _set(connection, cancelled, cancel_requested_at=datetime.now(UTC))
    assert await claim_next(connection, holder, QUEUES, besides=[besides.id]) is None
    await _set(connection, retried, next_attempt_at=datetime.now(UTC) - timedelta(seconds=1))
    won = await claim_next(connection, holder, QUEUES, besides=[besides.id])
    assert won is not None
    assert won.id == retried.id


async def test_a_worker_without_a_lease_gets_nothing(connection: AsyncConnection) -> None:
    """Whatever it took would count as lost at once."""
    job = await _waiting(connection)
    late = await signed_on(connection, lease_seconds=-1)
    assert await claim_next(connection, late, QUEUES) is None
    gone = await signed_on(connection)
    await workers.sign_off(connection, gone.id)
    assert await claim_next(connection, gone, QUEUES) is None
    assert await lookup.get_job(connection, job.id) == job


async def test_of_many_who_ask_at_once_each_gets_another(
    database: Database, connection: AsyncConnection
) -> None:
    """The lock of one that somebody is just taking holds nobody up."""
    made = [await _waiting(connection) for _ in range(40)]
    holders = [await signed_on(connection) for _ in range(4)]

    async def take_all(holder: Holder) -> list[UUID]:
        async with database.connect() as own:
            return await _all_in_order(own, holder)

    taken = await asyncio.gather(*(take_all(each) for each in holders))
    assert sorted(chain.from_iterable(taken)) == sorted(each.id for each in made)
    for job in made:
        assert (await lookup.get_job(connection, job.id)).fence == 1


async def test_a_job_whose_row_is_locked_is_passed_over(
    database: Database, connection: AsyncConnection, holder: Holder
) -> None:
    first, second = await _waiting(connection), await _waiting(connection)
    async with database.begin() as other:
        await jobs.mark_enqueued(other, first.id)
        won = await claim_next(connection, holder, QUEUES)
        assert won is not None
        assert won.id == second.id
        assert await claim_next(connection, holder, QUEUES) is None


async def test_a_large_backlog_costs_nothing(connection: AsyncConnection, holder: Holder) -> None:
    """The next job is read from an index in which those of a queue stand in order."""
    await _waiting(connection)
    await connection.execute(
        sa.text(
            "INSERT INTO jobs (id, tool_name, parameters, status, queue, priority, max_attempts,"
            " retry_delay_seconds, soft_limit_seconds, hard_limit_seconds, last_seq)"
            " SELECT gen_random_uuid(), 'sleep', '{}', 'pending',"
            " CASE n % 3 WHEN 0 THEN 'tools' ELSE 'default' END, 1 + n % 10, 1,"
            " 0, 1, 1, 1 FROM generate_series(1, 20000) AS n"
        )
    )
    await connection.execute(sa.text("ANALYZE jobs"))
    before = await _index_reads(connection)
    for _ in range(100):
        assert await claim_next(connection, holder, QUEUES) is not None
    # What others have just taken is in the index for a while yet.
    assert 100 <= await _index_reads(connection) - before < 20_000


async def _index_reads(connection: AsyncConnection) -> int:
    """Return how many entries of the index were ever read."""
    await connection.execute(sa.text("SELECT pg_stat_force_next_flush()"))
    found = await connection.execute(
        sa.text(
            "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'ix_jobs_waiting'"
        )
    )
    return found.scalar_one()


async def test_queues_are_served_by_live_workers_alone(connection: AsyncConnection) -> None:
    async def served(*, trusts_leases: bool = True) -> frozenset[str]:
        return await workers.served_queues(connection, trusts_leases=trusts_leases)

    assert await served() == frozenset()
    late = await signed_on(connection, lease_seconds=-1)
    assert late
    assert await served() == frozenset()
    assert await served(trusts_leases=False) == {"tools"}
    live = await signed_on(connection)
    assert await served() == {"tools"}
    await workers.mark_draining(connection, live.id)
    assert await served() == {"tools"}
    await workers.sign_off(connection, live.id)
    assert await served() == frozenset()
