"""Clients of the real servers that the tests share, and databases of one's own on them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis

from service.embedded.servers import EmbeddedServers

# Neither driver says the types of what it gives.
asyncpg: Any = import_module("asyncpg")
_AnyRedis: Any = Redis


@asynccontextmanager
async def postgres_client(url: str) -> AsyncGenerator[Any]:
    """Give an asyncpg connection to *url*."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def redis_client(url: str, database: int = 0) -> AsyncGenerator[Any]:
    """Give a redis-py client of *database* at *url*, which answers with `str`."""
    client = _AnyRedis.from_url(url, db=database, decode_responses=True)
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def new_database(servers: EmbeddedServers) -> AsyncGenerator[str]:
    """Give the address of an empty database, and drop it afterwards, whoever is still in it.

    It takes some 40 ms; a fixture of any scope may be made of it.
    """
    name = f"test_{uuid4().hex}"
    async with postgres_client(servers.database_url) as connection:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield servers.database_url.replace("/data20?", f"/{name}?")
        finally:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
