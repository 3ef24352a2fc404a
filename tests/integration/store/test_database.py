"""The way to PostgreSQL, and what it says when nobody is there."""

import asyncio
import socket
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from service.errors import SettingsError, StoreDownError, StoreUnavailableError
from service.store.database import Database, driver_url
from tests.silence import line_to


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://nobody:x@127.0.0.1:1/data20",
        "postgresql://nobody:x@/data20?host=/nowhere",
    ],
)
async def test_nobody_there_is_one_error(url: str) -> None:
    database = Database(url)
    with pytest.raises(StoreUnavailableError):
        async with database.connect():
            pass
    await database.close()


async def test_a_killed_backend_is_an_outage_and_the_pool_recovers(database: Database) -> None:
    kill = sa.text("SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(StoreUnavailableError):
        async with database.connect() as connection:
            await connection.execute(kill)
    assert (await database.version()).startswith("18.")


async def test_a_fault_of_ours_is_not_called_an_outage(database: Database) -> None:
    with pytest.raises(ProgrammingError):
        async with database.connect() as connection:
            await connection.execute(sa.text("SELECT nonsense"))


async def test_a_statement_that_takes_too_long_is_an_outage(database: Database) -> None:
    async def sleep() -> None:
        async with database.begin() as connection:
            await connection.execute(sa.text("SET LOCAL statement_timeout = '50ms'"))
            await connection.execute(sa.text("SELECT pg_sleep(5)"))

    with pytest.raises(StoreUnavailableError):
        await sleep()


async def test_a_lock_that_is_not_given_is_an_outage(database: Database) -> None:
    """Nobody waits for half a minute behind somebody else's lock."""

    async def lock() -> None:
        async with database.begin() as connection:
            await connection.execute(sa.text("LOCK TABLE jobs"))

    async with database.begin() as other:
        await other.execute(sa.text("LOCK TABLE jobs"))
        with pytest.raises(StoreUnavailableError):
            await lock()


async def test_tables_that_are_not_there_yet_are_an_outage_that_says_what_to_do(
    database_url: str,
) -> None:
    database = Database(database_url)
    with pytest.raises(StoreUnavailableError, match="data20 db upgrade"):
        async with database.connect() as connection:
            await connection.execute(sa.text("SELECT * FROM jobs"))
    await database.close()


async def test_a_line_that_has_gone_silent_is_an_outage(database_url: str) -> None:
    """The server's own limits cannot help when nothing comes through."""
    socket_folder = Path(dict(parse_qsl(urlsplit(database_url).query))["host"])
    async with line_to(socket_folder / ".s.PGSQL.5432") as line:
        parts = urlsplit(database_url)
        user, _, _ = parts.netloc.rpartition("@")
        url = parts._replace(netloc=f"{user}@127.0.0.1:{line.port}", query="").geturl()
        database = Database(url, answer_within=0.2)
        await database.version()
        line.is_alive.clear()
        with pytest.raises(StoreUnavailableError):
            await database.version()
        line.is_alive.set()
        await database.close()


async def test_a_server_that_nobody_runs_is_told_from_one_that_is_silent(
    database_url: str, tmp_path: Path
) -> None:
    """Of the two only the first lets a worker be sure that nobody else gets an answer."""
    silent = Database(database_url, answer_within=0.2)
    with pytest.raises(StoreUnavailableError) as caught:
        async with silent.connect() as connection:
            await connection.execute(sa.text("SELECT pg_sleep(5)"))
    assert not isinstance(caught.value, StoreDownError)
    await silent.close()
    for nowhere in (f"postgresql://me@/none?host={tmp_path}", "postgresql://me@127.0.0.1:1/none"):
        down = Database(nowhere)
        with pytest.raises(StoreDownError):
            await down.version()
        await down.close()


@pytest.mark.parametrize(
    ("second", "told"),
    # To the last there is no way, and so nothing says that no server is there.
    [("127.0.0.2", StoreDownError), ("255.255.255.255", StoreUnavailableError)],
)
async def test_a_name_of_several_addresses_is_down_when_all_refuse(
    monkeypatch: pytest.MonkeyPatch, second: str, told: type[StoreUnavailableError]
) -> None:
    """As localhost, which most often is one of IPv6 and one of IPv4."""

    async def find_both(_host: str, port: int, **_: object) -> list[object]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, (address, port)) for address in ("127.0.0.1", second)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", find_both)
    database = Database("postgresql://me@both.test:1/none")
    with pytest.raises(StoreUnavailableError) as caught:
        await database.version()
    assert type(caught.value) is told
    await database.close()


async def test_a_lost_session_is_told_and_a_slow_statement_is_not(database_url: str) -> None:
    told: list[str] = []
    database = Database(database_url, answer_within=0.2)
    database.on_lost(lambda: told.append("lost"))
    with pytest.raises(StoreUnavailableError):
        async with database.connect() as connection:
            await connection.execute(sa.text("SELECT pg_sleep(5)"))
    assert told == []
    with pytest.raises(StoreUnavailableError):
        async with database.connect() as connection:
            await connection.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert told == ["lost"]
    await database.close()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql://u:p@h/d?sslmode=require", {"ssl": "require"}),
        ("postgresql://u:p@h/d?sslmode=require&channel_binding=require", {"ssl": "require"}),
        ("postgres://u:p@h/d", {}),
    ],
)
def test_the_addresses_that_hosters_give_are_understood(
    given: str, expected: dict[str, str]
) -> None:
    assert dict(driver_url(given).query) == expected


def test_an_option_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL: unknown option colour"):
        driver_url("postgresql://u:p@h/d?colour=red")


async def test_a_transaction_is_rolled_back_by_an_error(database: Database) -> None:
    async def fail() -> None:
        async with database.begin() as connection:
            await connection.execute(sa.text("CREATE TABLE half (id int)"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    async with database.connect() as connection:
        found = await connection.execute(sa.text("SELECT to_regclass('half')"))
        assert found.scalar_one() is None


@pytest.mark.parametrize("url", ["mysql://host/name", "nonsense", ""])
def test_another_kind_of_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        driver_url(url)
