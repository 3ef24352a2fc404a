"""The schema, made once, and empty tables for each test."""

from collections.abc import AsyncGenerator

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.embedded.servers import EmbeddedServers
from service.store.database import Database
from service.store.migrate import upgrade
from tests.servers import new_database


@pytest.fixture(scope="session")
async def migrated_url(servers: EmbeddedServers) -> AsyncGenerator[str]:
    """Give the address of a database with the schema, shared by the tests of these rooms."""
    async with new_database(servers) as url:
        yield url


@pytest.fixture(scope="session")
async def migrated(migrated_url: str) -> AsyncGenerator[Database]:
    """Give the database at that address."""
    database = Database(migrated_url, name="tests")
    await upgrade(database)
    yield database
    await database.close()


@pytest.fixture
async def database(migrated: Database) -> Database:
    """Give the database with nothing in its tables."""
    async with migrated.connect() as connection:
        for table in ("jobs", "workers", "tool_statistics", "past_statistics", "cron_runs"):
            await connection.execute(sa.text(f"DELETE FROM {table}"))  # noqa: S608  # Our names.
    return migrated


@pytest.fixture
async def connection(database: Database) -> AsyncGenerator[AsyncConnection]:
    """Give a connection on which every statement commits by itself."""
    async with database.connect() as connection:
        yield connection
