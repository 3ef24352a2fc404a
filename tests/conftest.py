"""What tests of every room share: real servers, and a clean part of them for each test."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from service.config import BROKER_DATABASE, CACHE_DATABASE
from service.embedded.servers import EmbeddedServers
from tests.servers import new_database, redis_client


@pytest.fixture(scope="session")
def servers() -> Iterator[EmbeddedServers]:
    """Give a PostgreSQL and a Valkey, started for this run of the tests and gone after it."""
    with tempfile.TemporaryDirectory(prefix="data20-tests-") as folder:
        Path(folder).chmod(0o711)  # So that root's servers need no capability to get there.
        with EmbeddedServers(Path(folder)) as servers:
            yield servers


@pytest.fixture
async def database_url(servers: EmbeddedServers) -> AsyncIterator[str]:
    """Give the address of an empty database that this test alone uses."""
    async with new_database(servers) as url:
        yield url


@pytest.fixture
async def redis_url(servers: EmbeddedServers) -> str:
    """Give the address of a Valkey whose databases are empty."""
    for database in (CACHE_DATABASE, BROKER_DATABASE):
        async with redis_client(servers.redis_url, database) as client:
            await client.flushdb()
    return servers.redis_url
