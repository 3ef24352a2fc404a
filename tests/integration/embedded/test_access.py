import json
import stat

import psutil
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from service.embedded.servers import EmbeddedServers
from tests.servers import asyncpg, postgres_client, redis_client


async def test_postgres_refuses_another_password(servers: EmbeddedServers) -> None:
    url = servers.database_url.replace("data20:", "data20:not-", 1)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url)


async def test_postgres_lets_no_superuser_in(servers: EmbeddedServers) -> None:
    url = servers.database_url.replace("//data20:", "//postgres:", 1)
    with pytest.raises(asyncpg.PostgresError, match=r"no pg_hba\.conf entry"):
        await asyncpg.connect(url)
    async with postgres_client(servers.database_url) as connection:
        assert await connection.fetchval("SHOW is_superuser") == "off"


async def test_valkey_refuses_another_password(servers: EmbeddedServers) -> None:
    async with redis_client(servers.redis_url.replace("://:", "://:not-", 1)) as client:
        with pytest.raises(RedisConnectionError, match="invalid username-password"):
            await client.ping()


@pytest.mark.parametrize(
    "command", ["CONFIG GET *", "KEYS *", "DEBUG JMAP", "ACL LIST", "SHUTDOWN"]
)
async def test_valkey_denies_what_could_undo_its_settings(
    servers: EmbeddedServers, command: str
) -> None:
    async with redis_client(servers.redis_url) as client:
        with pytest.raises(ResponseError, match=r"no permissions|not allowed"):
            await client.execute_command(*command.split())


def test_no_server_listens_on_the_network(servers: EmbeddedServers) -> None:
    for pid in (servers.postgres.pid, servers.valkey.pid):
        assert psutil.Process(pid).net_connections("unix")  # So that an empty answer means it.
        assert psutil.Process(pid).net_connections("inet") == []


def test_secrets_and_sockets_are_for_their_owner_alone(servers: EmbeddedServers) -> None:
    folder = servers.folder
    for name in ("sockets", "postgres", "valkey"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o700
    for path in (folder / "passwords.json", *(folder / "sockets").glob("*.conf")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_password_stands_in_a_command(servers: EmbeddedServers) -> None:
    passwords = json.loads((servers.folder / "passwords.json").read_text())
    for pid in (servers.postgres.pid, servers.valkey.pid):
        process = psutil.Process(pid)
        shown = " ".join((*process.cmdline(), *process.environ().values()))
        assert not [password for password in passwords.values() if password in shown]


async def test_postgres_is_durable_and_independent_of_the_system(
    servers: EmbeddedServers,
) -> None:
    expected = {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
        "log_statement": "none",
    }
    async with postgres_client(servers.database_url) as connection:
        found = {name: await connection.fetchval(f"SHOW {name}") for name in expected}
        locale = await connection.fetchrow(
            "SELECT datlocprovider = 'b', datlocale FROM pg_database"
            " WHERE datname = current_database()"
        )
    assert found == expected
    assert tuple(locale) == (True, "C.UTF-8")
