import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.embedded.locks import FileLock
from service.embedded.servers import EmbeddedServers
from service.errors import AlreadyOwnedError
from tests.integration.embedded.owners import is_alive, owning
from tests.waiting import until


def test_a_second_owner_is_told_who_the_first_is(folder: Path) -> None:
    with owning(folder) as first:
        pids = first.server_pids
        with pytest.raises(AlreadyOwnedError) as refusal:
            EmbeddedServers(folder).start()
        assert f"Process {first.process.pid} " in str(refusal.value)
        assert str(folder) in str(refusal.value)
        assert all(map(is_alive, pids))
        assert (folder / "sockets" / "valkey.sock").exists()


def test_one_process_cannot_own_a_folder_twice(folder: Path) -> None:
    with EmbeddedServers(folder, postgres=False) as servers:
        for again in (servers, EmbeddedServers(folder, postgres=False)):
            with pytest.raises(AlreadyOwnedError, match=str(os.getpid())):
                again.start()
        assert servers.valkey.is_running


@pytest.fixture
def forked(folder: Path) -> Iterator[FileLock]:
    """Give a lock, held while this process was forked; the child lives as long as the test."""
    folder.mkdir()
    lock = FileLock(folder / "lock")
    assert lock.acquire()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    yield lock
    os.close(reader)
    os.close(writer)
    os.waitpid(child, 0)


async def test_a_lock_is_free_when_its_taker_is_gone_though_a_fork_lives(forked: FileLock) -> None:
    forked.release()
    successor = FileLock(forked.path)
    await until(successor.acquire, what="the child to let go")
    successor.release()
