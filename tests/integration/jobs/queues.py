"""What waits in Redis, how it gets lost, and a backlog of any size."""

import sqlalchemy as sa

from service.config import BROKER_DATABASE
from service.queue.delivery import delivery_id
from service.store.records import Job
from tests.integration.jobs.worlds import World
from tests.servers import redis_client

_COPIED = (
    "tool_name, parameters, queue, priority, max_attempts, retry_delay_seconds,"
    " soft_limit_seconds, hard_limit_seconds, last_seq"
)


async def deliveries(redis_url: str, queue: str = "tools") -> dict[str, float]:
    """Return what waits in the queue, with its place, the first first."""
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        return dict(await client.zrange(queue, 0, -1, withscores=True))


async def empty(redis_url: str) -> None:
    """Take everything from Redis, as an operator's FLUSHALL does."""
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        await client.flushall()


async def take(redis_url: str, job: Job) -> None:
    """Take the job's delivery as a worker does that dies before its claim."""
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        [(taken, _)] = await client.zpopmin(job.queue)
        assert taken == delivery_id(job)
        assert await client.delete(f"arq:job:{taken}") == 1


async def pile_up(world: World, count: int) -> Job:
    """Write down *count* jobs that wait to be delivered, a microsecond apart; return the first."""
    job = await world.submit("quick")
    async with world.context.database.connect() as connection:
        await connection.execute(
            sa.text(
                f"INSERT INTO jobs (id, status, created_at, deliver_at, {_COPIED})"  # noqa: S608  # Our own names.
                " SELECT gen_random_uuid(), status, created_at + number * interval '1 microsecond',"
                f" deliver_at, {_COPIED} FROM jobs, generate_series(1, :more) AS number"
                " WHERE id = :id"
            ),
            {"id": job.id, "more": count - 1},
        )
    return job
