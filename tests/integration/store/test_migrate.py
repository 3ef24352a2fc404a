"""The schema: the same by migrations as in the code, made once, whoever starts first."""

import asyncio
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from service.store.database import Database
from service.store.migrate import current_revision, newest_revision, upgrade
from service.store.tables import metadata


async def test_the_migrations_make_the_tables_the_code_knows(database: Database) -> None:
    def compare(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(
            compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        )

    async with database.connect() as connection:
        assert await connection.run_sync(compare) == []


async def test_processes_that_start_at_once_migrate_in_turn(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    results = await asyncio.gather(*(upgrade(each) for each in databases))
    for each in databases:
        await each.close()
    assert sorted(results, key=str) == [
        *[(newest_revision(), newest_revision())] * 3,
        (None, newest_revision()),
    ]


async def test_an_empty_database_has_no_revision(database_url: str) -> None:
    database = Database(database_url)
    async with database.connect() as connection:
        assert await current_revision(connection) is None
    await database.close()
