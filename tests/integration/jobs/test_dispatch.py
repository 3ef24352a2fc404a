"""What is due is delivered: whatever its creator did not deliver, or could not yet."""

import asyncio

import pytest
import sqlalchemy as sa

from service.config import QUEUES
from service.errors import BrokerUnavailableError
from service.jobs.dispatch import dispatch
from service.queue.delivery import delivery_id
from service.queue.enqueue import enqueue
from service.store import jobs, schedule
from service.store.schedule import Turn
from service.store.states import Status
from tests.integration.jobs.queues import deliveries, pile_up
from tests.integration.jobs.worlds import QUICK, MakeWorld, World
from tests.integration.store.making import FAILURE, job_in

NOTHING_WAITS = None


async def test_a_job_that_nobody_enqueued_is_delivered(world: World, redis_url: str) -> None:
    """Its API process died between its commit and its delivery."""
    job = await world.submit("quick")
    await dispatch(world.context)
    assert list(await deliveries(redis_url)) == [delivery_id(job)]
    assert (await world.read(job)).status is Status.QUEUED
    assert await world.states(job) == ["create", "enqueue"]


async def test_each_job_goes_into_its_own_queue(world: World, redis_url: str) -> None:
    expected = {queue: await world.submit("quick", queue=queue) for queue in QUEUES}
    await dispatch(world.context)
    for queue, job in expected.items():
        assert list(await deliveries(redis_url, queue)) == [delivery_id(job)]


async def test_a_retry_is_delivered_when_it_is_due(world: World, redis_url: str) -> None:
    world.add_tool("failing", "raise SystemExit(1)")
    due = await world.run(await world.submit("failing", retry_delay_seconds=0.0))
    later = await world.run(await world.submit("failing", retry_delay_seconds=60.0))
    assert (due.status, later.status) == (Status.QUEUED, Status.QUEUED)
    next_in = await dispatch(world.context)
    assert next_in is not None
    assert 50 < next_in <= 60
    assert list(await deliveries(redis_url)) == [delivery_id(due)]


async def test_a_deferred_job_waits_for_its_time(world: World, redis_url: str) -> None:
    job = await world.submit("quick", delay_seconds=60.0)
    next_in = await dispatch(world.context)
    assert next_in is not None
    assert 50 < next_in <= 60
    assert await deliveries(redis_url) == {}
    assert (await world.run(job)).status is Status.PENDING  # A delivery too early changes nothing.
    await _make_due(world)
    assert await dispatch(world.context) is NOTHING_WAITS
    assert list(await deliveries(redis_url)) == [delivery_id(job)]


async def test_from_its_time_on_a_deferred_job_waits_for_a_worker(world: World) -> None:
    """So that `queued_at` to `started_at` is what it waited for want of one."""
    job = await world.submit("quick", delay_seconds=60.0)
    async with world.context.database.connect() as connection:
        waiting = await jobs.mark_enqueued(connection, job.id)
    assert waiting is not None
    await _make_due(world)
    await dispatch(world.context)
    delivered = await world.read(job)
    assert delivered.queued_at is not None
    assert delivered.next_attempt_at is not None
    assert waiting.queued_at is not None
    assert waiting.queued_at < delivered.queued_at
    assert await world.states(job) == ["create", "enqueue"]


async def test_what_is_out_is_not_delivered_again(world: World, redis_url: str) -> None:
    context = world.context
    await enqueue(context.database, context.broker, await world.submit("quick"))
    before = await deliveries(redis_url)
    assert len(before) == 1
    assert await dispatch(context) is NOTHING_WAITS
    assert await deliveries(redis_url) == before


async def test_what_is_young_is_left_to_who_is_delivering_it(world: World, redis_url: str) -> None:
    await world.submit("quick", grace_seconds=60.0)
    next_in = await dispatch(world.context)
    assert next_in is not None
    assert 50 < next_in <= 60
    assert await deliveries(redis_url) == {}


async def test_what_runs_or_has_ended_is_not_delivered(world: World, redis_url: str) -> None:
    async with world.context.database.connect() as connection:
        for status in set(Status) - {Status.PENDING, Status.QUEUED}:
            await job_in(connection, status)
    assert await dispatch(world.context) is NOTHING_WAITS
    assert await deliveries(redis_url) == {}


async def test_more_than_a_page_is_delivered_in_one_round(world: World, redis_url: str) -> None:
    """Page by page, without one job twice or none."""
    await pile_up(world, 1201)
    assert await dispatch(world.context) is NOTHING_WAITS
    assert len(await deliveries(redis_url)) == 1201


async def test_of_many_workers_one_delivers_and_the_others_go_on(
    make_world: MakeWorld, redis_url: str
) -> None:
    worlds = [await make_world(worker_name=f"worker{number}@tests") for number in range(3)]
    async with worlds[0].context.database.begin() as connection:
        assert await schedule.take_turn(connection, Turn.DISPATCH)
        job = await worlds[0].submit("quick")
        async with asyncio.timeout(10):
            for world in worlds[1:]:
                assert await dispatch(world.context) is None
        assert await deliveries(redis_url) == {}
    await asyncio.gather(*(dispatch(world.context) for world in worlds))
    assert list(await deliveries(redis_url)) == [delivery_id(job)]
    assert await worlds[0].states(job) == ["create", "enqueue"]


async def test_a_job_that_somebody_has_locked_holds_nobody_up(world: World, redis_url: str) -> None:
    """It is about to be claimed or cancelled, and all others must not wait for that."""
    held, free = await world.submit("quick"), await world.submit("quick")
    async with world.context.database.begin() as connection:
        await connection.execute(
            sa.text("SELECT FROM jobs WHERE id = :id FOR UPDATE"), {"id": held.id}
        )
        await dispatch(world.context)
        assert (await world.read(free)).status is Status.QUEUED
        assert (await world.read(held)).status is Status.PENDING
    assert set(await deliveries(redis_url)) == {delivery_id(held), delivery_id(free)}


async def test_what_was_claimed_and_waits_again_keeps_its_moment(world: World) -> None:
    """A dispatcher that comes late with its note must not take a retry off the schedule."""
    job = await world.submit("quick")
    async with world.context.database.connect() as connection:
        seen = await schedule.list_due(connection, most=10)
        running = await jobs.claim(connection, job.id, world.context.holder)
        assert running is not None
        assert await jobs.retry(connection, running, FAILURE) is not None
        await schedule.mark_delivered(connection, seen)
        next_in = await schedule.seconds_until_due(connection)
    assert next_in is not None
    assert 50 < next_in <= 60


async def test_while_redis_is_away_nothing_is_lost(
    make_world: MakeWorld, world: World, redis_url: str
) -> None:
    cut_off = await make_world(redis_url="unix:///nowhere")
    job = await cut_off.submit("quick")
    with pytest.raises(BrokerUnavailableError):
        await dispatch(cut_off.context)
    assert await world.read(job) == job
    await dispatch(world.context)
    assert list(await deliveries(redis_url)) == [delivery_id(job)]


async def test_a_job_delivered_late_runs(world: World) -> None:
    world.add_tool("quick", QUICK)
    job = await world.submit("quick")
    await dispatch(world.context)
    assert (await world.run(job)).status is Status.COMPLETED


async def test_a_retry_is_another_delivery(world: World, redis_url: str) -> None:
    """Its delivery carries the next claim's number: nothing kept of the last is in its way."""
    async with world.context.database.connect() as connection:
        job = await job_in(connection, Status.RUNNING)
        assert await jobs.retry(connection, job, FAILURE) is not None
    await _make_due(world)
    await dispatch(world.context)
    assert list(await deliveries(redis_url)) == [f"{job.id}:2"]


async def test_a_released_job_is_due_at_once(world: World, redis_url: str) -> None:
    async with world.context.database.connect() as connection:
        job = await job_in(connection, Status.RUNNING)
        assert await jobs.release(connection, job) is not None
    await dispatch(world.context)
    assert list(await deliveries(redis_url)) == [f"{job.id}:2"]


async def _make_due(world: World) -> None:
    """Let the time come for everything that waits for it."""
    async with world.context.database.connect() as connection:
        await connection.execute(
            sa.text("UPDATE jobs SET next_attempt_at = now(), deliver_at = now()")
        )
