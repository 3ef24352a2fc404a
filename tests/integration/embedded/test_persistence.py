import os
import signal
from contextlib import suppress
from pathlib import Path

from service.embedded.servers import EmbeddedServers
from tests.integration.embedded.owners import is_alive, owning, programs_in
from tests.servers import postgres_client, redis_client
from tests.waiting import until


async def write(database_url: str, redis_url: str) -> None:
    """Leave a row and a key, both on disk."""
    async with postgres_client(database_url) as connection:
        await connection.execute("CREATE TABLE kept (line text)")
        await connection.execute("INSERT INTO kept VALUES ('a row')")
    async with redis_client(redis_url, 1) as client:
        await client.set("kept", "a key")
        synced, _ = await client.execute_command("WAITAOF", 1, 0, 5000)
        assert synced == 1


async def read(servers: EmbeddedServers) -> tuple[str, str]:
    """Return what `write` left."""
    async with postgres_client(servers.database_url) as connection:
        line = await connection.fetchval("SELECT line FROM kept")
    async with redis_client(servers.redis_url, 1) as client:
        return line, await client.get("kept")


KEPT = ("a row", "a key")


async def test_what_was_written_is_there_after_a_stop_and_a_start(folder: Path) -> None:
    servers = EmbeddedServers(folder)
    with servers:
        pids = [servers.postgres.pid, servers.valkey.pid]
        await write(servers.database_url, servers.redis_url)
    assert not [pid for pid in pids if is_alive(pid)]
    assert not (folder / "sockets").exists()
    with servers:
        assert await read(servers) == KEPT


async def test_a_killed_server_comes_back_with_its_data(folder: Path) -> None:
    with EmbeddedServers(folder) as servers:
        await write(servers.database_url, servers.redis_url)
        for server in (servers.postgres, servers.valkey):
            before = server.pid
            server.kill()
            assert not server.is_running
            server.start()
            assert server.is_running
            assert server.pid != before
        assert await read(servers) == KEPT


async def test_servers_of_a_killed_owner_end_and_lose_nothing(folder: Path) -> None:
    with owning(folder) as owner:
        await write(owner.tell()["database_url"], owner.tell()["redis_url"])
        owner.kill()
        await until(lambda: not any(map(is_alive, owner.pids)), what="every server process to end")
    with EmbeddedServers(folder) as servers:
        assert await read(servers) == KEPT


async def test_servers_killed_with_their_owner_lose_nothing(folder: Path) -> None:
    with owning(folder) as owner:
        await write(owner.tell()["database_url"], owner.tell()["redis_url"])
        for pid in owner.pids:
            with suppress(ProcessLookupError):  # Some end as soon as their parent does.
                os.kill(pid, signal.SIGKILL)
        owner.kill()
    assert (folder / "postgres" / "data" / "postmaster.pid").exists()
    assert (folder / "sockets" / "valkey.sock").exists()
    with EmbeddedServers(folder) as servers:
        assert await read(servers) == KEPT


async def test_a_start_waits_for_a_server_that_is_still_shutting_down(folder: Path) -> None:
    with owning(folder) as first:
        old = first.server_pids[0]
        await write(first.tell()["database_url"], first.tell()["redis_url"])
        os.kill(old, signal.SIGSTOP)
        first.kill()
        try:
            with owning(folder) as second:
                lock = folder / "owner.lock"
                await until(
                    lambda: lock.read_text().strip() == str(second.process.pid),
                    what="the second owner to have the folder",
                )
                os.kill(old, signal.SIGCONT)
                assert second.server_pids[0] != old
                assert not is_alive(old)
        finally:
            with suppress(ProcessLookupError):
                os.kill(old, signal.SIGCONT)


async def test_an_owner_killed_at_its_first_start_leaves_no_half_made_data(folder: Path) -> None:
    unfinished = folder / "postgres" / "unfinished"
    with owning(folder) as owner:
        await until(unfinished.exists, what="the data to be in the making")
        owner.kill()
        await until(lambda: not programs_in(folder), what="everything to end")
    assert unfinished.exists()
    assert not (folder / "postgres" / "data").exists()
    with EmbeddedServers(folder) as servers:
        await write(servers.database_url, servers.redis_url)
        assert await read(servers) == KEPT
        assert not unfinished.exists()
