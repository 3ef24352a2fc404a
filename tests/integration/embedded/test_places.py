import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.embedded.account import Account
from service.embedded.servers import EmbeddedServers
from service.embedded.sockets import SocketFolder
from service.errors import EmbeddedServerError
from tests.integration.embedded.owners import is_alive, owning
from tests.servers import postgres_client, redis_client
from tests.waiting import until

LONG = "long" * 25


async def check_answers(database_url: str, redis_url: str) -> None:
    """Use both servers once."""
    async with postgres_client(database_url) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    async with redis_client(redis_url) as client:
        assert await client.ping()


def entries(folder: Path) -> list[Path]:
    """Return what is in *folder*."""
    return list(folder.iterdir())


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the system's temporary folder: an empty one while the test lasts."""
    with tempfile.TemporaryDirectory(prefix="data20-tests-") as name:
        Path(name).chmod(0o1777)
        monkeypatch.setenv("TMPDIR", name)
        monkeypatch.setattr(tempfile, "tempdir", None)  # Where Python remembers it.
        yield Path(name)


@pytest.mark.parametrize("name", [LONG, 'with space, comma\'s & "quotes"', "größe"])
async def test_sockets_of_an_unfit_path_are_elsewhere_and_leave_with_it(
    folder: Path, temporary: Path, name: str
) -> None:
    unfit = folder / name
    with EmbeddedServers(unfit) as servers:
        await check_answers(servers.database_url, servers.redis_url)
        (private,) = entries(temporary)
        assert private.stat().st_mode & 0o777 == 0o700
        assert (unfit / "sockets").readlink() == private
    assert entries(temporary) == []
    assert not (unfit / "sockets").is_symlink()


async def test_sockets_of_a_killed_owner_do_not_pile_up(folder: Path, temporary: Path) -> None:
    with owning(folder / LONG) as owner:
        assert owner.pids
        owner.kill()
        await until(lambda: not any(map(is_alive, owner.pids)), what="the servers to end")
    (left,) = entries(temporary)
    with EmbeddedServers(folder / LONG) as servers:
        await check_answers(servers.database_url, servers.redis_url)
        (fresh,) = entries(temporary)
        assert fresh != left
    assert entries(temporary) == []


def test_a_temporary_folder_that_somebody_else_could_enter_is_left_alone(
    folder: Path, temporary: Path
) -> None:
    """The name that a killed run wrote down may have been taken by anybody since."""
    place = folder / LONG / "sockets"
    place.parent.mkdir(parents=True)
    strange = temporary / "data20-strange"
    strange.mkdir()
    strange.chmod(0o755)
    (strange / "theirs").touch()
    place.symlink_to(strange)

    sockets = SocketFolder(place, Account(os.getuid(), os.getgid()))
    sockets.open()
    try:
        assert sockets.path != strange
        assert (strange / "theirs").exists()
    finally:
        sockets.remove()
    assert entries(temporary) == [strange]


async def test_a_relative_folder_stays_where_it_was_when_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    servers = EmbeddedServers(Path("var"))
    monkeypatch.chdir("/")
    with servers:
        await check_answers(servers.database_url, servers.redis_url)
    assert (folder / "postgres" / "data").exists()


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_is_in_the_way_of_the_sockets_is_named_and_left(folder: Path, kind: str) -> None:
    theirs = folder.parent / "theirs"
    theirs.mkdir()
    theirs.chmod(0o755)
    (theirs / "file").touch()
    folder.mkdir()
    if kind == "link":
        (folder / "sockets").symlink_to(theirs)
    else:
        theirs.rename(folder / "sockets")
    with pytest.raises(EmbeddedServerError, match=f"{folder}/sockets is in the way"):
        EmbeddedServers(folder).start()
    assert (folder / "sockets" / "file").exists()
