"""A tool's process tree as the worker sees it: begun, asked to stop, ended, reported on."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.execution.hold import Hold
from service.execution.isolation import Isolation, keeper_command
from service.execution.leftovers import TAG_VARIABLE, kill_leftovers
from service.execution.pipes import Pipe

_PATIENCE_SECONDS = 5.0
"""What the kernel may take to end a tree; more only where a process hangs in a dead device."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the keeper said about the tool's main process; None where it said nothing."""

    return_code: int | None
    """Exit code, or the negative number of the signal that killed it."""
    refusal: str | None
    """Why the tool could not be started."""
    is_expired: bool = False
    """True when the keeper ended the tree, because the worker's lease was running out."""


class ToolProcess:
    """A running tool, with all that it starts; leave no way out that does not `close()` it."""

    def __init__(
        self,
        argv: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        isolation: Isolation,
        tag: str,
        hold: Hold,
    ) -> None:
        """Start the keeper, from the loop's thread: it dies with the thread that started it.

        Raises OSError or ValueError when the system does not take the command line or has no room
        for another process.
        """
        self._tag = tag
        self._isolation = isolation
        self._hold = hold
        with contextlib.ExitStack() as on_failure:
            self._control = on_failure.enter_context(Pipe())
            self._status = on_failure.enter_context(Pipe())
            self.stdout = on_failure.enter_context(Pipe())
            self.stderr = on_failure.enter_context(Pipe())
            os.set_blocking(self._control.writer, False)
            hold.listen(self._push_on)  # Before the start: there is no moment without an end.
            on_failure.callback(hold.forget, self._push_on)
            self._keeper = subprocess.Popen(
                keeper_command(isolation, self._control, self._status, cwd, argv),
                cwd="/",
                env={**env, TAG_VARIABLE: tag},
                stdin=subprocess.DEVNULL,
                stdout=self.stdout.writer,
                stderr=self.stderr.writer,
                pass_fds=(self._control.reader, self._status.writer),
                start_new_session=True,
            )
            on_failure.pop_all()
        self._control.close_reader()
        for pipe in (self._status, self.stdout, self.stderr):
            pipe.close_writer()
        self._pidfd = os.pidfd_open(self._keeper.pid)
        self._gone = asyncio.Event()
        self._listener: Callable[[], None] | None = None
        asyncio.get_running_loop().add_reader(self._pidfd, self._on_gone)

    def on_gone(self, listener: Callable[[], None]) -> None:
        """Call *listener* when the main process has ended and nothing of the tree is left."""
        self._listener = listener
        if self.is_gone:
            listener()

    @property
    def is_gone(self) -> bool:
        """True when nothing of the tree is left."""
        return self._gone.is_set()

    def ask(self) -> None:
        """Send SIGTERM to the tool's main process."""
        self._tell(b"stop\n")

    def kill(self) -> None:
        """Kill the tree, without waiting for its end."""
        self._control.close_writer()

    async def end(self) -> None:
        """Kill what is left, and wait until it is gone."""
        self.kill()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._gone.wait()
        except TimeoutError:  # Killing the keeper is all that is left to do.
            self._keeper.kill()
            await self._gone.wait()

    def close(self) -> None:
        """Give back every resource; end what `end()` was not waited for to end."""
        self._hold.forget(self._push_on)
        if not self.is_gone:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            self._keeper.kill()
        code = self._keeper.wait()  # It has ended, or was killed: there is nothing to wait for.
        if code != 0 and self._isolation is Isolation.SUBREAPER:
            kill_leftovers(self._tag)
        os.close(self._pidfd)
        for pipe in (self._control, self._status, self.stdout, self.stderr):
            pipe.close()

    def report(self) -> Report:
        """What became of the main process, to be read when the tree is gone."""
        os.set_blocking(self._status.reader, False)
        try:
            data = os.read(self._status.reader, 65536)
        except BlockingIOError:
            data = b""
        return_code = refusal = None
        is_expired = False
        for record in os.fsdecode(data).split("\0"):
            kind, _, rest = record.partition(" ")
            if kind == "refused":
                code, _, refusal = rest.partition(" ")
                return Report(int(code), refusal)
            if kind == "ended":
                return_code = os.waitstatus_to_exitcode(int(rest))
            is_expired = is_expired or kind == "expired"
        return Report(return_code, refusal, is_expired=is_expired)

    def _push_on(self, until: int) -> None:
        self._tell(b"until %d\n" % until)

    def _tell(self, line: bytes) -> None:
        if self._control.writer >= 0:
            # It has just ended; or somebody has stopped it, and it reads no more.
            with contextlib.suppress(BrokenPipeError, BlockingIOError):
                os.write(self._control.writer, line)

    def _on_gone(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        self._gone.set()
        if self._listener is not None:
            self._listener()
