"""One database with the schema for all plays, empty at the beginning of each."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.embedded.servers import EmbeddedServers
from service.store.database import Database
from service.store.migrate import upgrade
from tests.servers import new_database


@dataclass(frozen=True)
class Theatre:
    """Where plays are acted, one after the other."""

    url: str
    database: Database
    ticks: Path

    async def clear(self) -> None:
        """Leave nothing of the last play."""
        async with self.database.connect() as connection:
            for table in ("jobs", "workers", "cron_runs"):
                await connection.execute(sa.text(f"DELETE FROM {table}"))  # noqa: S608  # Our names.
        for file in self.ticks.iterdir():
            file.unlink()


@pytest.fixture(scope="session")
async def playhouse(servers: EmbeddedServers) -> AsyncIterator[tuple[str, Database]]:
    """Give a database for the plays alone, and its address."""
    async with new_database(servers) as url:
        database = Database(url, name="plays", pool_size=4)
        await upgrade(database)
        yield url, database
        await database.close()


@pytest.fixture
async def theatre(playhouse: tuple[str, Database], tmp_path: Path) -> Theatre:
    """Give an empty theatre."""
    url, database = playhouse
    made = Theatre(url, database, tmp_path)
    await made.clear()
    return made
