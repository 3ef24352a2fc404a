import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from service.embedded.servers import EmbeddedServers
from tests.servers import postgres_client, redis_client


async def test_asyncpg_takes_the_database_address_as_it_is(servers: EmbeddedServers) -> None:
    async with postgres_client(servers.database_url) as connection:
        assert await connection.fetchval("SELECT current_database()") == "data20"


async def test_sqlalchemy_takes_the_database_address_with_its_driver_named(
    servers: EmbeddedServers,
) -> None:
    url = servers.database_url.replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            assert await connection.scalar(sa.text("SELECT current_user")) == "data20"
    finally:
        await engine.dispose()


async def test_redis_py_takes_the_redis_address_with_any_database(
    servers: EmbeddedServers,
) -> None:
    for database in (0, 1):
        async with redis_client(servers.redis_url, database) as client:
            assert (await client.client_info())["db"] == database


async def test_each_test_has_an_empty_database_of_its_own(
    servers: EmbeddedServers, database_url: str
) -> None:
    assert database_url != servers.database_url
    async with postgres_client(database_url) as connection:
        count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        assert await connection.fetchval(count) == 0


@pytest.fixture
async def leftovers(servers: EmbeddedServers) -> None:
    for database in (0, 1):
        async with redis_client(servers.redis_url, database) as client:
            await client.set("left", "behind")


@pytest.mark.usefixtures("leftovers")
async def test_the_redis_databases_are_empty_at_a_tests_start(redis_url: str) -> None:
    for database in (0, 1):
        async with redis_client(redis_url, database) as client:
            assert await client.dbsize() == 0
