"""A database of its own with the schema for each test that breaks one."""

from collections.abc import AsyncIterator

import pytest

from service.store.database import Database
from service.store.migrate import upgrade


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Database]:
    """Give a database with the schema, which this test alone uses."""
    database = Database(database_url, name="chaos-tests", pool_size=4)
    await upgrade(database)
    yield database
    await database.close()
