"""Moves that are asked for at the same moment go to PostgreSQL together."""

import asyncio
from dataclasses import replace

import sqlalchemy as sa

from service.errors import StoreUnavailableError
from service.store import jobs
from service.store.records import Job
from service.store.states import Move, Status
from tests.integration.jobs.worlds import World
from tests.integration.store.making import FAILURE, SUCCESS
from tests.waiting import until


async def _submitted(world: World, count: int) -> list[Job]:
    return [await world.submit("quick") for _ in range(count)]


async def _claimed(world: World, made: list[Job]) -> list[Job]:
    won = await asyncio.gather(*(world.context.ledger.claim(job.id) for job in made))
    return [job for job in won if job is not None]


async def test_moves_of_one_moment_are_one_transaction(world: World) -> None:
    """Fifty claims have the same moment, which is their transaction's; so have fifty ends."""
    held = await _claimed(world, await _submitted(world, 50))
    assert len(held) == 50
    assert len({job.started_at for job in held}) == 1
    ledger = world.context.ledger
    done = await asyncio.gather(*(ledger.end(Move.COMPLETE, job, SUCCESS) for job in held))
    assert len({job.completed_at for job in done if job is not None}) == 1
    assert [await world.states(job) for job in held] == [["create", "claim", "complete"]] * 50


async def test_of_two_who_ask_for_one_job_one_gets_it(world: World) -> None:
    (job,) = await _submitted(world, 1)
    ledger = world.context.ledger
    won = await asyncio.gather(ledger.claim(job.id), ledger.claim(job.id))
    assert sorted(each is not None for each in won) == [False, True]
    held = next(each for each in won if each is not None)
    ends = await asyncio.gather(
        ledger.end(Move.FAIL, held, FAILURE), ledger.end(Move.FAIL, held, FAILURE)
    )
    assert sorted(each is not None for each in ends) == [False, True]


async def test_different_ends_of_one_moment_are_told_apart(world: World) -> None:
    held = await _claimed(world, await _submitted(world, 4))
    moves = (Move.COMPLETE, Move.FAIL, Move.RETRY, Move.RELEASE)
    ledger = world.context.ledger
    ended = await asyncio.gather(
        *(ledger.end(move, job, FAILURE) for move, job in zip(moves, held, strict=True))
    )
    assert [job and job.status for job in ended] == [
        Status.COMPLETED,
        Status.FAILED,
        Status.QUEUED,
        Status.QUEUED,
    ]


async def test_a_row_that_somebody_else_has_locked_holds_up_its_own_claim_alone(
    world: World,
) -> None:
    """It shares its trip with others, and yet they are claimed while it is refused."""
    locked, *free = await _submitted(world, 5)
    ledger, database = world.context.ledger, world.context.database
    async with database.begin() as other:
        await other.execute(
            sa.text("SELECT FROM jobs WHERE id = :id FOR UPDATE"), {"id": locked.id}
        )
        asks = [asyncio.create_task(ledger.claim(job.id)) for job in (locked, *free)]
        refused, *won = await asyncio.gather(*asks, return_exceptions=True)
    assert isinstance(refused, StoreUnavailableError)
    assert [job.id for job in won if isinstance(job, Job)] == [job.id for job in free]


async def test_who_comes_behind_a_locked_row_does_not_wait_for_it(world: World) -> None:
    locked, free = await _submitted(world, 2)
    ledger, database = world.context.ledger, world.context.database
    async with database.begin() as other:
        await other.execute(
            sa.text("SELECT FROM jobs WHERE id = :id FOR UPDATE"), {"id": locked.id}
        )
        held_up = asyncio.create_task(ledger.claim(locked.id))
        await until(lambda: _waits_for_a_lock(world), what="the claim to wait for the row")
        assert await ledger.claim(free.id) is not None
        assert not held_up.done()
    assert await held_up is not None


async def _waits_for_a_lock(world: World) -> bool:
    async with world.context.database.connect() as connection:
        found = await connection.execute(
            sa.text(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )
        return found.scalar_one() > 0


async def test_a_claim_shows_the_name_that_its_worker_has_by_then(world: World) -> None:
    """A worker that is replaced gives its name up and takes another one."""
    (job,) = await _submitted(world, 1)
    world.context.identity = replace(world.context.identity, name="worker@tests~1")
    held = await world.context.ledger.claim(job.id)
    assert held is not None
    assert (held.worker, held.worker_id) == ("worker@tests~1", world.context.identity.id)


async def test_a_claim_nobody_waits_for_any_more_is_waited_for_at_the_end(world: World) -> None:
    """What is under way when its delivery is cancelled is over before the pool is closed."""
    (job,) = await _submitted(world, 1)
    ledger, database = world.context.ledger, world.context.database
    async with database.begin() as other:
        await jobs.mark_enqueued(other, job.id)
        claim = asyncio.create_task(ledger.claim(job.id))
        await until(lambda: _waits_for_a_lock(world), what="the claim to wait for the row")
        claim.cancel()
    await ledger.settle()
    assert (await world.read(job)).status is Status.RUNNING
