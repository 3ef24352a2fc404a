import os
import stat
from pathlib import Path

from service.embedded.launcher import CAP_DAC_READ_SEARCH
from service.embedded.servers import EmbeddedServers
from tests.integration.embedded.owners import capabilities_of, user_of
from tests.integration.embedded.test_places import check_answers

IS_ROOT = os.geteuid() == 0


def rights(folder: Path) -> list[tuple[int, int]]:
    """Return owner and mode of *folder* and all folders above it."""
    found = [path.stat() for path in (folder, *folder.parents)]
    return [(status.st_uid, stat.S_IMODE(status.st_mode)) for status in found]


def expected_capabilities() -> int:
    """Return what a server below a closed folder has: root's need one, others have their user's."""
    return 1 << CAP_DAC_READ_SEARCH if IS_ROOT else capabilities_of(os.getpid())


async def test_servers_below_a_closed_folder_answer_and_nothing_is_opened_up(
    closed: Path,
) -> None:
    before = rights(closed)
    with EmbeddedServers(closed) as servers:
        await check_answers(servers.database_url, servers.redis_url)
        for server in (servers.postgres, servers.valkey):
            assert (user_of(server.pid) == os.geteuid()) is not IS_ROOT
            assert capabilities_of(server.pid) == expected_capabilities()
        assert rights(closed) == before


def test_servers_can_gain_no_rights(servers: EmbeddedServers) -> None:
    for pid in (servers.postgres.pid, servers.valkey.pid):
        assert "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text()
