"""A client of a channel: what it has heard so far."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from tests.servers import redis_client


@asynccontextmanager
async def listening(redis_url: str, channel: str) -> AsyncGenerator[list[Any]]:
    """Give a list that grows by each message on *channel*, read as JSON."""
    heard: list[Any] = []
    async with redis_client(redis_url) as client, client.pubsub() as subscriber:
        await subscriber.subscribe(channel)
        confirmation = await subscriber.get_message(timeout=10)
        assert confirmation["type"] == "subscribe"

        async def listen() -> None:
            async for message in subscriber.listen():
                heard.append(orjson.loads(message["data"]))  # noqa: PERF401  # Read as it grows.

        task = asyncio.create_task(listen())
        try:
            yield heard
        finally:
            task.cancel()
            await asyncio.wait({task})
