"""Jobs of lost workers: who counts as lost, and what becomes of them."""

import asyncio

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import jobs, lookup, workers
from service.store.database import Database
from service.store.records import Job
from service.store.rescue import rescue_lost
from service.store.states import Reason, Status
from tests.integration.store.making import (
    claimed,
    footprint,
    identity,
    signed_on,
    somebody,
    transitions,
)

MOMENT = 0.001
"""A lease so short that the server has been up for longer."""


async def rescue(connection: AsyncConnection, *, lease_seconds: float = MOMENT) -> list[Job]:
    return await rescue_lost(connection, lease_seconds=lease_seconds, max_losses=3)


async def test_a_job_of_a_live_worker_is_left_alone(connection: AsyncConnection) -> None:
    job = await claimed(connection, await signed_on(connection))
    before = await footprint(connection, job)
    assert await rescue(connection) == []
    assert await footprint(connection, job) == before


async def test_a_job_is_taken_from_a_worker_whose_lease_ran_out(
    connection: AsyncConnection,
) -> None:
    """Its attempt does not count, the loss does, and the late worker finds it gone."""
    job = await claimed(connection, await signed_on(connection, lease_seconds=-1))
    [rescued] = await rescue(connection)
    assert (rescued.id, rescued.status, rescued.reason) == (
        job.id,
        Status.QUEUED,
        Reason.WORKER_LOST,
    )
    assert (rescued.attempt, rescued.fence, rescued.losses) == (0, 1, 1)
    assert (rescued.worker, rescued.worker_id) == (None, None)
    assert (await transitions(connection, job))[-1] == ("running", "queued")
    assert await jobs.release(connection, job) is None


async def test_a_job_whose_workers_row_is_gone_is_lost_at_once(
    connection: AsyncConnection,
) -> None:
    """So a worker that comes back under its name need not wait for its own old lease."""
    await claimed(connection, somebody())
    assert len(await rescue(connection, lease_seconds=1_000_000)) == 1


async def test_nobody_is_lost_before_the_server_has_been_up_for_a_lease(
    connection: AsyncConnection,
) -> None:
    """While it was down no worker could renew."""
    job = await claimed(connection, await signed_on(connection, lease_seconds=-1))
    before = await footprint(connection, job)
    assert await rescue(connection, lease_seconds=1_000_000) == []
    assert await footprint(connection, job) == before


async def test_who_cannot_trust_leases_takes_only_what_has_no_worker_at_all(
    connection: AsyncConnection,
) -> None:
    late = await claimed(connection, await signed_on(connection, lease_seconds=-1))
    orphan = await claimed(connection, somebody())
    taken = await rescue_lost(connection, lease_seconds=MOMENT, max_losses=3, trusts_leases=False)
    assert [job.id for job in taken] == [orphan.id]
    assert [job.id for job in await rescue(connection)] == [late.id]


async def test_no_more_jobs_are_taken_than_one_statement_may_lock(
    connection: AsyncConnection,
) -> None:
    """Whatever plan PostgreSQL chooses: with many, it used to read the first ones anew."""
    for _ in range(250):
        await claimed(connection, somebody())
    taken = [
        await rescue_lost(connection, lease_seconds=MOMENT, max_losses=3, most=100)
        for _ in range(4)
    ]
    assert [len(each) for each in taken] == [100, 100, 50, 0]


async def test_a_poison_job_fails_with_its_third_worker(connection: AsyncConnection) -> None:
    job = await claimed(connection, somebody())
    for losses in (1, 2):
        [rescued] = await rescue(connection)
        assert (rescued.status, rescued.losses) == (Status.QUEUED, losses)
        assert await jobs.claim(connection, job.id, somebody()) is not None
    [ended] = await rescue(connection)
    assert (ended.status, ended.reason) == (Status.FAILED, Reason.WORKER_LOST)
    assert ended.completed_at is not None
    assert ended.message is not None
    assert "Poison" in ended.message


async def test_a_cancelled_job_of_a_lost_worker_ends_as_cancelled(
    connection: AsyncConnection,
) -> None:
    job = await claimed(connection, somebody())
    await jobs.request_cancel(connection, job.id, terminates=False)
    [ended] = await rescue(connection)
    assert (ended.status, ended.reason) == (Status.CANCELLED, Reason.CANCELLED)
    assert ended.completed_at is not None


async def test_rescuers_at_once_take_each_job_once(database: Database) -> None:
    async with database.connect() as connection:
        lost = {(await claimed(connection, somebody())).id for _ in range(30)}

    async def take() -> list[Job]:
        async with database.connect() as connection:
            return await rescue(connection)

    taken = [job.id for each in await asyncio.gather(*(take() for _ in range(5))) for job in each]
    assert sorted(taken) == sorted(lost)


async def test_a_rescue_that_waited_looks_again(database: Database) -> None:
    """Between its reading and its writing the job may have ended; the guard stands outside too."""
    async with database.connect() as connection:
        job = await claimed(connection, somebody())
    async with database.begin() as other:
        # The row is locked: a rescuer must skip it, not wait for it and then take it.
        await other.execute(sa.text("SELECT 1 FROM jobs WHERE id = :id FOR UPDATE"), {"id": job.id})
        async with database.connect() as connection:
            assert await rescue(connection) == []
    async with database.connect() as connection:
        assert len(await rescue(connection)) == 1


@pytest.mark.parametrize("is_alive", [True, False])
async def test_a_name_belongs_to_one_live_worker(
    connection: AsyncConnection, *, is_alive: bool
) -> None:
    first = somebody("worker@one")
    lease = 60.0 if is_alive else -1.0
    assert await workers.register(connection, identity(first), lease_seconds=lease)
    second = somebody("worker@one")
    took = await workers.register(connection, identity(second), lease_seconds=60.0)
    assert took is not is_alive
    found = await workers.find(connection, "worker@one")
    assert found is not None
    assert found.id == (first.id if is_alive else second.id)


async def test_a_predecessor_known_to_be_gone_makes_way_at_once(
    connection: AsyncConnection,
) -> None:
    """Its jobs are lost with its row."""
    first, second = somebody("worker@one"), somebody("worker@one")
    await workers.register(connection, identity(first), lease_seconds=60.0)
    job = await claimed(connection, first)
    assert await workers.register(
        connection, identity(second), lease_seconds=60.0, instead_of=first.id
    )
    [rescued] = await rescue(connection, lease_seconds=1_000_000)
    assert rescued.id == job.id


async def test_a_heartbeat_tells_what_the_worker_holds(connection: AsyncConnection) -> None:
    holder = await signed_on(connection)
    kept = await claimed(connection, holder)
    unwanted = await claimed(connection, holder)
    await claimed(connection, somebody())
    await jobs.request_cancel(connection, unwanted.id, terminates=True)
    held = await workers.list_held(connection, holder.id)
    told = {each.job_id: (each.fence, each.is_cancelled, each.terminates) for each in held}
    assert told == {kept.id: (1, False, False), unwanted.id: (1, True, True)}


async def test_a_heartbeat_of_a_worker_whose_row_is_gone_says_so(
    connection: AsyncConnection,
) -> None:
    holder = await signed_on(connection)
    await workers.sign_off(connection, holder.id)
    assert not await workers.renew(connection, holder.id, lease_seconds=60.0)


async def test_a_heartbeat_moves_the_end_of_the_lease(connection: AsyncConnection) -> None:
    holder = await signed_on(connection, lease_seconds=-1)
    assert await workers.renew(connection, holder.id, lease_seconds=60.0)
    [worker] = await workers.all_workers(connection)
    assert worker.is_alive
    job = await claimed(connection, holder)
    assert await rescue(connection) == []
    assert (await lookup.get_job(connection, job.id)).status is Status.RUNNING
