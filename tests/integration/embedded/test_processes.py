import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.embedded import launcher, server
from service.embedded.server import Nudge
from service.embedded.servers import EmbeddedServers
from service.embedded.valkey import ValkeyServer
from service.errors import EmbeddedServerError


def test_servers_are_in_sessions_that_ctrl_c_does_not_reach(servers: EmbeddedServers) -> None:
    ours = {os.getsid(0), os.getpgid(0)}
    for one in (servers.postgres, servers.valkey):
        assert os.getsid(one.pid) not in ours
        assert os.getpgid(one.pid) not in ours


def test_a_launcher_whose_owner_is_gone_starts_nothing() -> None:
    """The owner may die between the fork and the wish for a signal at its death."""
    another = str(os.getppid())
    place = (str(int(signal.SIGTERM)), str(os.geteuid()), str(os.getegid()))
    result = subprocess.run(
        (sys.executable, launcher.__file__, another, *place, "--", "/bin/echo", "started"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert "the owner is gone" in result.stderr


@pytest.fixture
def blocked() -> Iterator[None]:
    """Block, while the test lasts, the signals that servers are ended with."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.usefixtures("blocked")
def test_servers_hear_signals_that_their_owner_blocks(folder: Path) -> None:
    with EmbeddedServers(folder, postgres=False) as servers:
        valkey = servers.valkey
        valkey.stop()
        assert valkey.exit_status == 0


def test_a_server_that_does_not_stop_is_killed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nudges = (Nudge(signal.SIGTERM, 0.1), Nudge(signal.SIGKILL, 10))
    monkeypatch.setattr(ValkeyServer, "nudges", nudges)
    with EmbeddedServers(folder, postgres=False) as servers:
        valkey = servers.valkey
        os.kill(valkey.pid, signal.SIGSTOP)
        valkey.stop()
        assert valkey.exit_status == -signal.SIGKILL


def test_a_server_that_does_not_come_back_leaves_no_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedServers(folder, postgres=False) as servers:
        servers.valkey.kill()
        monkeypatch.setattr(server, "START_SECONDS", 0)
        with pytest.raises(EmbeddedServerError, match="does not answer"):
            servers.valkey.start()
        assert not servers.valkey.is_running


def test_a_long_log_is_put_aside_at_a_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LOG_BYTES", 10)
    with EmbeddedServers(folder, postgres=False) as servers:
        first = servers.valkey.pid
        servers.valkey.stop()
        servers.valkey.start()
        second = servers.valkey.pid
    assert f"{first}:M" in (folder / "valkey.log.1").read_text()
    assert f"{second}:M" in (folder / "valkey.log").read_text()
    assert f"{first}:M" not in (folder / "valkey.log").read_text()
