"""What Redis lost is delivered again, and what a worker took with it that died too soon."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from service.config import BROKER_DATABASE
from service.errors import BrokerUnavailableError
from service.jobs.dispatch import dispatch
from service.jobs.restore import restore
from service.queue.broker import COMPLETE_KEY
from service.queue.delivery import delivery_id
from service.store.records import Job
from tests.integration.jobs.queues import deliveries, empty, pile_up, take
from tests.integration.jobs.worlds import MakeWorld, World
from tests.servers import redis_client
from tests.waiting import until


async def _delivered(world: World, priority: int = 5) -> Job:
    """Return a job whose delivery is out, after a look that found everything in its place."""
    job = await world.submit("quick", priority=priority)
    await dispatch(world.context)
    await restore(world.context)
    return job


async def test_what_redis_lost_is_delivered_again(world: World, redis_url: str) -> None:
    job = await _delivered(world)
    before, row = await deliveries(redis_url), await world.read(job)
    await empty(redis_url)
    assert await restore(world.context) == 1
    assert await deliveries(redis_url) == before == {delivery_id(job): before[delivery_id(job)]}
    assert await world.read(job) == row


async def test_what_waits_in_its_queue_is_left_there(world: World, redis_url: str) -> None:
    await _delivered(world)
    before = await deliveries(redis_url)
    for _ in range(3):
        assert await restore(world.context) == 0
    assert await deliveries(redis_url) == before


async def test_all_is_restored_when_new_jobs_came_since(world: World, redis_url: str) -> None:
    """An emptied Redis does not look empty for long; a job of any priority may be the first."""
    lost = [await _delivered(world, priority=priority) for priority in (1, 5, 10)]
    await empty(redis_url)
    new = await world.submit("quick", priority=1)
    await dispatch(world.context)
    assert await restore(world.context) == 3
    expected = [lost[0], new, *lost[1:]]
    assert list(await deliveries(redis_url)) == [delivery_id(job) for job in expected]


async def test_what_was_taken_and_never_claimed_is_delivered_again(
    world: World, redis_url: str
) -> None:
    """Not at the first look: a claim takes some milliseconds, and nothing is wrong then."""
    job, next_job = [await _delivered(world) for _ in range(2)]
    await take(redis_url, job)
    assert await restore(world.context) == 0
    assert list(await deliveries(redis_url)) == [delivery_id(next_job)]
    assert await restore(world.context) == 1
    assert list(await deliveries(redis_url)) == [delivery_id(job), delivery_id(next_job)]
    assert await restore(world.context) == 0


async def test_the_last_of_a_queue_is_missed_too(world: World, redis_url: str) -> None:
    job = await _delivered(world)
    await take(redis_url, job)
    assert [await restore(world.context) for _ in range(3)] == [0, 1, 0]
    assert list(await deliveries(redis_url)) == [delivery_id(job)]


async def test_what_was_claimed_in_time_is_not_delivered_again(
    world: World, redis_url: str
) -> None:
    world.add_tool("failing", "raise SystemExit(1)")
    job = await _delivered(world)
    await take(redis_url, job)
    assert await restore(world.context) == 0
    await world.run(job)
    assert [await restore(world.context) for _ in range(2)] == [0, 0]
    assert await deliveries(redis_url) == {}


async def test_what_got_lost_from_the_midst_of_a_queue_is_found_by_the_next_full_look(
    world: World, redis_url: str
) -> None:
    first, lost, last = [await _delivered(world) for _ in range(3)]
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        await client.zrem("tools", delivery_id(lost))
        assert await restore(world.context) == 0
        assert 0 < await client.ttl(COMPLETE_KEY) <= 60
        await client.delete(COMPLETE_KEY)  # As the server does when its time is over.
    assert await restore(world.context) == 1
    assert list(await deliveries(redis_url)) == list(map(delivery_id, (first, lost, last)))


async def test_another_server_is_looked_at_in_full(world: World, redis_url: str) -> None:
    """One that was replaced may have the mark and lack what came last."""
    job = await _delivered(world)
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        await client.zrem("tools", delivery_id(job))
        await client.set(COMPLETE_KEY, "the id of a server that is no more", ex=60)
    assert await restore(world.context) == 1


async def test_a_server_emptied_during_a_full_look_is_not_taken_for_complete(
    world: World, redis_url: str
) -> None:
    broker = world.context.broker
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        server = (await broker.look(["tools"])).server
        await broker.begin_full_look()
        await client.flushall()
        await broker.end_full_look(server)
    assert not (await broker.look(["tools"])).is_complete


async def test_entries_of_other_programs_hide_nothing(world: World, redis_url: str) -> None:
    """Theirs come before all of ours, at scores of their own."""
    job = await _delivered(world)
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        await client.zadd("tools", {"theirs": time.time() * 1000})
        await client.zrem("tools", delivery_id(job))
    assert [await restore(world.context) for _ in range(2)] == [0, 1]


async def test_without_redis_a_look_is_put_off(make_world: MakeWorld, world: World) -> None:
    await _delivered(world)
    cut_off = await make_world(redis_url="unix:///nowhere")
    with pytest.raises(BrokerUnavailableError):
        await restore(cut_off.context)


MANY = 20_000


@pytest.fixture
async def crowded(world: World) -> AsyncGenerator[World]:
    """Give a worker with a long queue that has been delivered and seen."""
    await pile_up(world, MANY)
    await dispatch(world.context)
    await restore(world.context)
    yield world
    async with world.context.database.connect() as connection:
        # Row by row, as between tests, it would take seconds.
        await connection.execute(sa.text("TRUNCATE jobs CASCADE"))


@dataclass
class Cost:
    """What the rounds have cost so far."""

    statements: int = 0
    commands: int = 0
    seconds: float = 0.0


@asynccontextmanager
async def measured(redis_url: str) -> AsyncGenerator[Cost]:
    """Count what this process asks of PostgreSQL meanwhile, and anybody of Redis."""
    cost = Cost()

    def count(*_: object) -> None:
        cost.statements += 1

    async with redis_client(redis_url, BROKER_DATABASE) as client:
        before = (await client.info("stats"))["total_commands_processed"]
        event.listen(sa.Engine, "before_cursor_execute", count)
        started = time.perf_counter()
        try:
            yield cost
        finally:
            cost.seconds = time.perf_counter() - started
            event.remove(sa.Engine, "before_cursor_execute", count)
        after = (await client.info("stats"))["total_commands_processed"]
    cost.commands = after - before - 1  # The first question is itself counted by the second.


async def test_an_idle_round_costs_the_same_however_many_jobs_wait(
    crowded: World, redis_url: str
) -> None:
    """Nobody reads twenty thousand rows every two seconds because they wait."""
    context = crowded.context
    rounds = 10
    assert len(await deliveries(redis_url)) == MANY
    async with measured(redis_url) as idle:
        for _ in range(rounds):
            assert await dispatch(context) is None
            assert await restore(context) == 0
    # The next moment, the queues in use, the turn, and what stands before one head.
    assert idle.statements == 4 * rounds
    # The server's id, the mark and one head.
    assert idle.commands == 3 * rounds

    assert idle.seconds / rounds < 0.2


async def test_what_waits_for_its_time_costs_redis_nothing(world: World, redis_url: str) -> None:
    """However often anybody looks, there is nothing to ask or tell about such jobs."""
    for _ in range(10):
        await world.submit("quick", delay_seconds=3600.0)
    async with measured(redis_url) as idle:
        for _ in range(10):
            assert await dispatch(world.context) is not None
            assert await restore(world.context) == 0
    assert idle.commands == 0
    assert idle.statements == 2 * 10


async def test_after_flushall_all_of_a_long_queue_is_back_in_seconds(
    crowded: World, redis_url: str
) -> None:
    before = await deliveries(redis_url)
    await empty(redis_url)
    started = time.perf_counter()
    assert await restore(crowded.context) == MANY
    lasted = time.perf_counter() - started
    assert await deliveries(redis_url) == before

    assert lasted < 30


async def test_a_full_look_may_take_longer_than_it_counts(crowded: World, redis_url: str) -> None:
    """Else it would be taken for broken off at its end, and begin anew for ever."""
    await empty(redis_url)
    async with redis_client(redis_url, BROKER_DATABASE) as client:

        async def seconds_left() -> int:
            async with client.pipeline(transaction=True) as pipe:
                mark, left = await pipe.get(COMPLETE_KEY).ttl(COMPLETE_KEY).execute()
            return left if mark == "?" else 0

        async with asyncio.TaskGroup() as group:
            look = group.create_task(restore(crowded.context))
            await until(seconds_left, what="the look to begin")
            await client.expire(COMPLETE_KEY, 30)

            async def is_renewed() -> bool:
                return await seconds_left() > 30

            await until(is_renewed, what="the mark to be renewed")
    assert look.result() == MANY
