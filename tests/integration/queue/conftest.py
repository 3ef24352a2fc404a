"""A broker of one's own, empty at the start of each test."""

from collections.abc import AsyncGenerator

import pytest

from service.queue.broker import Broker


@pytest.fixture
async def broker(redis_url: str) -> AsyncGenerator[Broker]:
    """Give the way to a Redis whose databases are empty."""
    broker = Broker(redis_url, name="tests")
    yield broker
    await broker.close()
