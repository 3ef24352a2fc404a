"""What a request left in the stores."""

from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.config import BROKER_DATABASE, QUEUES
from service.queue.delivery import payload_key
from tests.servers import redis_client


async def count_jobs(connection: AsyncConnection) -> int:
    """Return how many jobs there are."""
    return (await connection.execute(sa.text("SELECT count(*) FROM jobs"))).scalar_one()


async def deliveries(redis_url: str) -> dict[str, dict[str, Any]]:
    """Return what each delivery in some queue says, by its id."""
    async with redis_client(redis_url, BROKER_DATABASE) as redis:
        ids = [each for queue in QUEUES for each in await redis.zrange(queue, 0, -1)]
        return {each: orjson.loads(await redis.get(payload_key(each))) for each in ids}


async def keys(redis_url: str) -> list[str]:
    """Return every key of the broker's database."""
    async with redis_client(redis_url, BROKER_DATABASE) as redis:
        return sorted([each async for each in redis.scan_iter()])
