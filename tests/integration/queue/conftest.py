"""A broker of one's own, empty at the start of each test."""

import tempfile
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import orjson
import pytest
from arq.connections import ArqRedis, create_pool

from service.embedded.servers import EmbeddedServers
from service.queue.broker import Broker
from service.queue.delivery import to_json
from tests.integration.queue.stock import stock_settings


@pytest.fixture
async def broker(redis_url: str) -> AsyncGenerator[Broker]:
    """Give the way to a Redis whose databases are empty."""
    broker = Broker(redis_url, name="tests")
    yield broker
    await broker.close()


@pytest.fixture
async def producer(redis_url: str) -> AsyncGenerator[ArqRedis]:
    """Give arq's own client, with JSON in place of pickle and nothing else of ours."""
    pool = await create_pool(
        stock_settings(redis_url),
        job_serializer=to_json,
        job_deserializer=orjson.loads,
        default_queue_name="tools",
    )
    yield pool
    await pool.aclose(close_connection_pool=True)


@pytest.fixture
def own_servers() -> Iterator[EmbeddedServers]:
    """Give a Valkey that this test may kill."""
    with (
        tempfile.TemporaryDirectory(prefix="data20-tests-") as folder,
        EmbeddedServers(Path(folder), postgres=False) as servers,
    ):
        yield servers


@pytest.fixture
async def own_broker(own_servers: EmbeddedServers) -> AsyncGenerator[Broker]:
    """Give the way to that Valkey."""
    broker = Broker(own_servers.redis_url)
    yield broker
    await broker.close()
