"""Messages to whoever listens, those of the same moment in one trip."""

import asyncio
from typing import Any

from service.queue.broker import Broker
from tests.integration.queue.listening import listening
from tests.servers import redis_client
from tests.waiting import until


async def test_messages_of_one_moment_all_arrive_in_order(broker: Broker, redis_url: str) -> None:
    async with listening(redis_url, "told") as heard:
        await asyncio.gather(*(broker.publish("told", b"%d" % each) for each in range(250)))
        await until(lambda: len(heard) >= 250, what="the messages")
        assert heard == list(range(250))


async def test_messages_of_one_moment_need_few_connections(broker: Broker, redis_url: str) -> None:
    """A hundred who publish at once would else each open a connection."""
    async with redis_client(redis_url) as client:
        before = await _connections(client)
        await asyncio.gather(*(broker.publish("told", b"0") for _ in range(100)))
        assert await _connections(client) - before <= 2


async def _connections(client: Any) -> int:  # noqa: ANN401  # redis-py leaves its types unknown.
    return (await client.info("stats"))["total_connections_received"]
