"""A PostgreSQL and a Valkey for one benchmark alone, gone after it."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from service.config import BROKER_DATABASE
from service.embedded.servers import EmbeddedServers
from service.queue.broker import Broker
from service.store.database import Database
from service.store.migrate import upgrade
from service.store.records import NewJob

NO_OP = NewJob(
    tool_name="no_op",
    parameters={},
    queue="tools",
    priority=5,
    max_attempts=4,
    retry_delay_seconds=60.0,
    soft_limit_seconds=3300.0,
    hard_limit_seconds=3600.0,
)
"""A job whose tool does nothing."""

_Redis: Any = import_module("redis.asyncio").Redis


@dataclass(frozen=True)
class Stores:
    """Both servers, the ways to them, and a folder."""

    folder: Path
    database_url: str
    redis_url: str
    database: Database
    broker: Broker
    _redis: Any

    async def empty(self) -> None:
        """Forget every job and every delivery."""
        async with self.database.connect() as connection:
            await connection.execute(sa.text("TRUNCATE jobs CASCADE"))
        await self._redis.flushdb()

    async def commits(self) -> int:
        """Return how many transactions PostgreSQL has committed here so far."""
        async with self.database.connect() as connection:
            # Each server process reports its own after a second at the latest.
            await connection.execute(sa.text("SELECT pg_stat_force_next_flush()"))
            query = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
            return (await connection.execute(sa.text(query))).scalar_one()

    async def commands(self) -> int:
        """Return how many commands Redis has executed so far, those within scripts too."""
        stats: dict[str, dict[str, int]] = await self._redis.info("commandstats")
        return sum(each["calls"] for each in stats.values())


@asynccontextmanager
async def open_stores() -> AsyncGenerator[Stores]:
    """Start both servers, with the schema and nothing else in them."""
    with tempfile.TemporaryDirectory(prefix="data20-bench-") as name:
        folder = Path(name)
        await asyncio.to_thread(folder.chmod, 0o711)  # Root's servers run as another user.
        with EmbeddedServers(folder) as servers:
            database = Database(servers.database_url, name="bench", pool_size=16)
            broker = Broker(servers.redis_url, name="bench")
            redis = _Redis.from_url(servers.redis_url, db=BROKER_DATABASE)
            await upgrade(database)
            try:
                yield Stores(
                    folder, servers.database_url, servers.redis_url, database, broker, redis
                )
            finally:
                await redis.aclose()
                await broker.close()
                await database.close()
