"""Jobs of lost workers are taken from them, told of, and delivered at once."""

import pytest

from service.config import BROKER_DATABASE
from service.errors import BrokerUnavailableError
from service.jobs.lease import sign_on
from service.jobs.regularity import Regularity
from service.jobs.rescue import rescue
from service.queue.updates import CHANNEL
from service.store import jobs
from service.store.states import Reason, Status
from tests.integration.jobs.worlds import QUICK, MakeWorld, World
from tests.integration.queue.listening import listening
from tests.integration.store.making import claimed, signed_on, somebody
from tests.servers import redis_client
from tests.waiting import until


async def test_a_rescued_job_is_delivered_at_once(world: World, redis_url: str) -> None:
    """No matter how patient the dispatcher is."""
    world.add_tool("quick", QUICK)
    async with world.context.database.connect() as connection:
        lost = await claimed(connection, somebody())
    assert await rescue(world.context) == 1
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        assert await client.zrange(lost.queue, 0, -1) == [f"{lost.id}:2"]
    rescued = await world.read(lost)
    assert (rescued.status, rescued.reason, rescued.losses) == (
        Status.QUEUED,
        Reason.WORKER_LOST,
        1,
    )


async def test_all_jobs_of_a_large_worker_are_rescued_in_one_round(world: World) -> None:
    """A hundred a round would leave the last of a thousand waiting far beyond the promise."""
    async with world.context.database.connect() as connection:
        for _ in range(250):
            await claimed(connection, somebody())
    assert await rescue(world.context) == 250
    assert await rescue(world.context) == 0


async def test_who_was_irregular_itself_judges_nobody_by_a_lease(make_world: MakeWorld) -> None:
    world = await make_world(lease_seconds=0.02, heartbeat_seconds=0.01)
    async with world.context.database.connect() as connection:
        await claimed(connection, await signed_on(connection, lease_seconds=-1))
    world.context.regularity = Regularity(1_000_000)
    assert await rescue(world.context) == 0
    world.context.regularity = Regularity(0)
    assert await rescue(world.context) == 1


async def test_a_rescued_job_runs_again(world: World) -> None:
    world.add_tool("quick", QUICK)
    job = await world.submit("quick")
    async with world.context.database.connect() as connection:
        assert await jobs.claim(connection, job.id, somebody()) is not None
    assert await rescue(world.context) == 1
    done = await world.run(job)
    assert (done.status, done.fence, done.attempt) == (Status.COMPLETED, 2, 1)
    assert await world.states(job) == ["create", "claim", "rescue", "claim", "complete"]


async def test_a_live_workers_job_is_left_alone(world: World) -> None:
    await sign_on(world.context)
    async with world.context.database.connect() as connection:
        job = await claimed(connection, world.context.holder)
    assert await rescue(world.context) == 0
    assert await world.read(job) == job


async def test_the_end_of_a_poison_job_is_told(make_world: MakeWorld, redis_url: str) -> None:
    world = await make_world(max_losses=1)
    async with world.context.database.connect() as connection:
        job = await claimed(connection, somebody())
    async with listening(redis_url, CHANNEL) as heard:
        assert await rescue(world.context) == 1
        await until(lambda: heard, what="the message")
    assert heard == [
        {
            "job_id": str(job.id),
            "status": "failed",
            "error": "Poison: it lost as many workers as a job may",
        }
    ]


async def test_while_redis_is_away_the_job_is_rescued_all_the_same(
    make_world: MakeWorld,
) -> None:
    """Its delivery is then the dispatcher's."""
    world = await make_world(redis_url="unix:///nowhere")
    async with world.context.database.connect() as connection:
        job = await claimed(connection, somebody())
    with pytest.raises(BrokerUnavailableError):
        await rescue(world.context)
    assert (await world.read(job)).status is Status.QUEUED
