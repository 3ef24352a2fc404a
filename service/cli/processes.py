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
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # Our owner may wait for its signals.
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
        self._retired: list[asyncio.subprocess.Process] = []
        self._has_successor = asyncio.Event()
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

    async def succeed(self) -> None:
        """Start another process in place of this one, which ends when its work is done."""
        if self._process is not None and self._is_wanted:
            self._retired = [each for each in self._retired if each.returncode is None]
            self._retired.append(self._process)
            await self.start()
            self._has_successor.set()

    async def keep_alive(self) -> None:
        """Return when it has ended as it should; until then, start it again whenever it ends.

        Raises Data20Error when it does not live through its first seconds, three times in a row.
        """
        loop = asyncio.get_running_loop()
        deaths = 0
        while self._process is not None:
            started_at = loop.time()
            code = await self._end_of(self._process)
            if not self._is_wanted:
                return
            if code is None:
                continue
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
        for process in self._all():
            if process.returncode is None:
                process.terminate()

    async def ended(self) -> None:
        """Wait until it is gone, and those that it succeeded."""
        for process in self._all():
            await process.wait()

    async def _end_of(self, process: asyncio.subprocess.Process) -> int | None:
        """Return its exit code when it has ended; `None` when another took its place before."""
        ending = asyncio.ensure_future(process.wait())
        succeeded = asyncio.ensure_future(self._has_successor.wait())
        try:
            await asyncio.wait({ending, succeeded}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            succeeded.cancel()
        self._has_successor.clear()
        return process.returncode if process is self._process else None

    def _all(self) -> list[asyncio.subprocess.Process]:
        return [*self._retired, *([self._process] if self._process is not None else [])]
