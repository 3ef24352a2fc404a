"""Processes that belong to one another: a child of ours dies with us, and is watched over."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence

import structlog

from service.errors import Data20Error

log = structlog.stdlib.get_logger(__name__)

_PR_SET_PDEATHSIG = 1  # prctl(2)
_YOUNG_SECONDS = 5.0
_MOST_YOUNG_DEATHS = 3


def tie_to(owner: int | None) -> None:
    """Have the kernel kill this process when *owner*, its parent, is gone; exit if it is already.

    For a process that `data20 up` started: even when that is killed, nothing stays behind.
    """
    if owner is None:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != owner:
        sys.exit("data20: the process that started this one is gone")


class Child:
    """One of our own commands as a process, started again when it dies by itself."""

    def __init__(
        self, arguments: Sequence[str], env: Mapping[str, str], *, pass_fds: Sequence[int] = ()
    ) -> None:
        self.name = arguments[0]
        # -P: a file called like one of our modules may lie where the command was given.
        command = (sys.executable, "-P", "-m", "service")
        self._command = (*command, *arguments, "--owner", str(os.getpid()))
        self._env = env
        self._pass_fds = pass_fds
        self._process: asyncio.subprocess.Process | None = None
        self._is_wanted = True

    async def start(self) -> None:
        """Start the process, in a session of its own: Ctrl-C is for its owner, who drains it."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._env,
            pass_fds=self._pass_fds,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )

    async def keep_alive(self) -> None:
        """Return when it has ended as it should; until then, start it again whenever it ends.

        Raises Data20Error when it does not live through its first seconds, three times in a row.
        """
        loop = asyncio.get_running_loop()
        deaths = 0
        while self._process is not None:
            started_at = loop.time()
            code = await self._process.wait()
            if not self._is_wanted:
                return
            deaths = deaths + 1 if loop.time() - started_at < _YOUNG_SECONDS else 1
            if deaths >= _MOST_YOUNG_DEATHS:
                raise Data20Error(f"`data20 {self.name}` does not stay up (exit code {code})")
            log.error("process ended, starting it again", process=self.name, exit_code=code)
            await asyncio.sleep(0.2 * deaths)
            if self._is_wanted:
                await self.start()

    def ask_to_stop(self) -> None:
        """Send SIGTERM; a second time has a worker hurry."""
        self._is_wanted = False
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    async def ended(self) -> None:
        """Wait until it is gone."""
        if self._process is not None:
            await self._process.wait()
