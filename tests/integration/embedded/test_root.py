import os
import pwd
from pathlib import Path

import pytest

from service.embedded.account import Account
from service.embedded.launcher import CAP_DAC_OVERRIDE, CAP_SETPCAP
from service.embedded.servers import EmbeddedServers
from service.embedded.wheels import PostgresPrograms, valkey_server
from service.errors import EmbeddedServerError
from tests.integration.embedded.owners import capabilities_of, owning, user_of
from tests.integration.embedded.test_places import check_answers

CONTAINER = {0, CAP_DAC_OVERRIDE, 3, 4, 5, 6, 7, CAP_SETPCAP, 10, 13, 18, 27, 29, 31}
"""What Docker gives a container's root: chown, dac_override, fowner, fsetid, kill, setgid, setuid,
setpcap, net_bind_service, net_raw, sys_chroot, mknod, audit_write, setfcap."""


@pytest.fixture
def nobody() -> Account:
    """Give an ordinary user."""
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


@pytest.fixture
def nobodys(folder: Path, nobody: Account) -> Path:
    """Give an empty folder of nobody's."""
    folder.mkdir(mode=0o700)
    os.chown(folder, nobody.uid, nobody.gid)
    return folder


def owners_in(folder: Path) -> set[int]:
    """Return the user id of everything in *folder*."""
    return {path.stat().st_uid for path in folder.rglob("*")}


def is_open(path: Path) -> bool:
    """Tell whether everybody can reach and read *path*."""
    return all(step.stat().st_mode & 0o001 for step in (path, *path.parents))


async def test_an_ordinary_user_needs_nothing_more(nobodys: Path, nobody: Account) -> None:
    with owning(nobodys, account=nobody) as owner:
        await check_answers(owner.tell()["database_url"], owner.tell()["redis_url"])
        assert {user_of(pid) for pid in owner.server_pids} == {nobody.uid}
    assert owners_in(nobodys) == {nobody.uid}


async def test_servers_that_reach_everything_keep_no_capability(folder: Path) -> None:
    programs = (PostgresPrograms().postgres, valkey_server())
    with EmbeddedServers(folder) as servers:
        for server, program in zip((servers.postgres, servers.valkey), programs, strict=True):
            assert (capabilities_of(server.pid) == 0) is is_open(program)


async def test_a_containers_root_has_what_a_closed_folder_needs(closed: Path) -> None:
    with owning(closed, capabilities=CONTAINER) as owner:
        await check_answers(owner.tell()["database_url"], owner.tell()["redis_url"])
        assert {capabilities_of(pid) for pid in owner.server_pids} == {1 << CAP_DAC_OVERRIDE}
        owner.kill()
    with EmbeddedServers(closed) as servers:
        await check_answers(servers.database_url, servers.redis_url)


def test_a_root_that_cannot_let_its_servers_in_says_so(closed: Path) -> None:
    with owning(closed, capabilities=CONTAINER - {CAP_SETPCAP}) as owner:
        assert f"cannot reach {closed}" in owner.last_words()
        assert owner.process.returncode == 1


def test_a_root_that_may_become_nobody_else_says_so(folder: Path) -> None:
    chown, fowner = 0, 3
    with owning(folder, capabilities={chown, fowner, CAP_DAC_OVERRIDE}) as owner:
        assert "cannot become user id" in owner.last_words()
        assert owner.process.returncode == 1


def test_data_keeps_its_owner(nobodys: Path, nobody: Account) -> None:
    """PostgreSQL refuses data of another user, and an account may be installed at any time."""
    (nobodys / "postgres").mkdir(mode=0o700)
    os.chown(nobodys / "postgres", nobody.uid, nobody.gid)
    with EmbeddedServers(nobodys) as servers:
        assert user_of(servers.postgres.pid) == nobody.uid
        assert user_of(servers.valkey.pid) == nobody.uid


def test_data_that_root_put_there_is_not_given_away(stopped: Path) -> None:
    os.chown(stopped / "valkey", 0, 0)
    with pytest.raises(EmbeddedServerError, match="valkey belongs to user id 0"):
        EmbeddedServers(stopped).start()
    assert (stopped / "valkey").stat().st_uid == 0


def test_a_folder_of_roots_is_refused_to_others_with_the_reason(
    folder: Path, nobody: Account
) -> None:
    with EmbeddedServers(folder, postgres=False):
        pass
    with owning(folder, account=nobody) as owner:
        words = owner.last_words()
    assert "Permission denied" in words
    assert str(folder) in words
    assert "Traceback" not in words
