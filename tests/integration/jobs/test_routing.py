"""Which queue a job waits in, and who takes it there."""

from service.config import BROKER_DATABASE
from service.queue.enqueue import submit
from service.queue.plan import plan
from service.queue.wishes import NO_WISHES, Wishes
from service.store.records import Job
from service.store.states import Status
from tests.integration.jobs.processes import PATIENCE_SECONDS, worker_process
from tests.integration.jobs.worlds import QUICK, World
from tests.servers import redis_client
from tests.waiting import until

CHORE = """
    # /// script
    # [tool.data20]
    # queue = "maintenance"
    # ///
    print("done")
"""


async def _accept(world: World, tool_name: str, wishes: Wishes = NO_WISHES) -> Job:
    """Accept a job as the API does."""
    context = world.context
    context.catalog.refresh()
    new = plan(context.catalog.get(tool_name), {}, context.settings, wishes)
    return await submit(context.database, context.broker, new)


async def test_a_tool_may_name_the_queue_it_waits_in(world: World, redis_url: str) -> None:
    """And a worker that serves no other takes it, and what is sent there by wish, and no more."""
    world.add_tool("quick", QUICK)
    world.add_tool("chore", CHORE)
    other = await _accept(world, "quick")
    named = [
        await _accept(world, "chore"),
        await _accept(world, "quick", Wishes(queue="maintenance")),
    ]

    async def have_ended() -> bool:
        return all([(await world.read(job)).status is Status.COMPLETED for job in named])

    async with worker_process(world, DATA20_QUEUES="maintenance"):
        await until(have_ended, what="the jobs to end", within=PATIENCE_SECONDS)
        assert (await world.read(other)).status is Status.QUEUED
    async with redis_client(redis_url, BROKER_DATABASE) as redis:
        assert await redis.zcard("tools") == 1
