"""Owners in processes of their own, and what is left of them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from service.embedded import launcher
from service.embedded.account import Account

CHECKOUT = Path(__file__).parents[3]


class Owner:
    """A process that runs `owner.py`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._story: dict[str, Any] = {}

    def tell(self) -> dict[str, Any]:
        """Wait until the servers answer; return what the owner says of them."""
        if not self._story:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            assert line, f"the owner ended: {self.last_words()}"
            self._story = json.loads(line)
        return self._story

    @property
    def server_pids(self) -> list[int]:
        """The main process of PostgreSQL, then that of Valkey."""
        return self.tell()["server_pids"]

    @property
    def pids(self) -> list[int]:
        """Every process both servers had when they were up; some children end of themselves."""
        return [*self.server_pids, *self.tell()["child_pids"]]

    def last_words(self) -> str:
        """Wait until the owner ends by itself; return what it said on stderr."""
        assert self.process.stderr is not None
        said = self.process.stderr.read()
        self.process.wait()
        return said

    def kill(self) -> None:
        """End the owner as nobody can prepare for."""
        self.process.kill()
        self.process.wait()


@contextmanager
def owning(
    folder: Path, *, account: Account | None = None, capabilities: Iterable[int] = ()
) -> Generator[Owner]:
    """Have another process own the servers in *folder*; it stops them at the end.

    With *account*, root starts it as that user, who may enter where Python and the wheels are.
    With *capabilities*, it is a root that has only those.
    """
    program = (sys.executable, "-m", "tests.integration.embedded.owner", str(folder))
    command = (*program, *(str(capability) for capability in capabilities))
    if account is not None:
        lives = (sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()))
        becomes = (str(int(signal.SIGKILL)), str(account.uid), str(account.gid))
        command = (*lives, *becomes, sys.executable, str(CHECKOUT), "--", *command)
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Owner(process)
        except BaseException:
            process.kill()
            raise


def is_alive(pid: int) -> bool:
    """Tell whether the process still runs; one that nobody has buried yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def programs_in(folder: Path) -> list[int]:
    """Return every process whose command names *folder*."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(folder) in " ".join(process.info["cmdline"] or ()) and is_alive(process.pid)
    ]


def user_of(pid: int) -> int:
    """Return the user id the process runs under."""
    return psutil.Process(pid).uids().effective


def capabilities_of(pid: int) -> int:
    """Return the capabilities that the process has in force, a bit each."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("CapEff:")).split()[1], 16)
