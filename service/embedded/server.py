"""One server process: launched under its account, watched until it answers, stopped."""

import os
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from service.embedded.account import Account
from service.embedded.locks import FileLock
from service.embedded.sockets import SocketFolder
from service.errors import EmbeddedServerError

START_SECONDS = 120.0
"""How long a server may take until it answers; recovery after a crash is part of it."""

PREDECESSOR_SECONDS = 60.0
"""How long a server of a killed owner may take to end before its data is given up on."""

LOG_BYTES = 5_000_000
"""A log larger than this is put aside at the next start; one such is kept."""

PAUSE_SECONDS = 0.005
"""Time between two looks at whether something has come about."""

_LAST_LINES = 20
_LAUNCHER = Path(__file__).with_name("launcher.py")
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/local/bin:/usr/bin:/bin", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server lives, and as whom."""

    folder: Path
    """Holds a folder of data a server, their logs and their locks; absolute."""
    sockets: SocketFolder
    """Holds their sockets and the settings written for one run."""
    account: Account


@dataclass(frozen=True, slots=True)
class Nudge:
    """A way of ending a server, and the seconds it is given for it."""

    signal: signal.Signals
    seconds: float


class Server(ABC):
    """What PostgreSQL and Valkey have in common.

    A server ends when the *thread* that launched it does (prctl(2), PR_SET_PDEATHSIG), however
    that happens; so it is launched from the main thread only. It runs in a session of its own,
    where Ctrl-C on the terminal does not reach it. It carries a lock on its data, as do all
    processes it starts, so that no second server is started beside any remains of the first.
    """

    name: ClassVar[str]
    """What people call it; in small letters, the name of its folder, log and lock."""
    nudges: ClassVar[tuple[Nudge, ...]]
    """How it is ended, the kindest way first. The kernel sends the first of these too."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.data_lock = FileLock(place.folder / f"{self.name.lower()}.lock")
        self.log_path = place.folder / f"{self.name.lower()}.log"
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the server; RuntimeError before it was first launched."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """True while the process is there, whether or not it answers."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        """How the server ended, a signal as its negative number; None while it has not."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Launch the server and return when it answers; do nothing when it runs already.

        Raises EmbeddedServerError, and leaves no process, when it does not come to answer.
        """
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the process without waiting for it to answer."""
        if self.is_running:
            return
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("Servers end with the thread that starts them: use the main thread")
        self.wait_for_predecessor()
        try:
            self._open_log()
            command = self._prepare()
            self._process = self._spawn(command, ends_by=self.nudges[0].signal)
        finally:
            self.data_lock.release()  # The server has its own hold on it now.

    def wait_for_predecessor(self) -> None:
        """Lock the data; wait while a server of a killed owner is still shutting down.

        Raises EmbeddedServerError when that takes too long.
        """
        deadline = time.monotonic() + PREDECESSOR_SECONDS
        while not self.data_lock.acquire():
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"Another {self.name} still uses {self.place.folder}: end it first"
                    f" (its owner was process {self.data_lock.holder() or 'unknown'})"
                )
            time.sleep(PAUSE_SECONDS)

    def wait_until_ready(self) -> None:
        """Return when the server answers.

        Raises EmbeddedServerError with the end of its log when it ends or is silent too long.
        """
        deadline = time.monotonic() + START_SECONDS
        try:
            while not self._answers():
                self._check_start(deadline)
                time.sleep(PAUSE_SECONDS)
        except BaseException:
            self.stop()
            raise

    def _check_start(self, deadline: float) -> None:
        if not self.is_running:
            raise self._failure("ended while starting")
        if time.monotonic() > deadline:
            raise self._failure(f"does not answer after {START_SECONDS:.0f} s")

    def stop(self) -> None:
        """End the server cleanly and wait until it is gone; less cleanly when that takes long."""
        self.ask_to_stop()
        self.wait_until_stopped()

    def ask_to_stop(self) -> None:
        """Send the kindest signal and return at once."""
        if self._process is not None:
            self._process.send_signal(self.nudges[0].signal)

    def wait_until_stopped(self) -> None:
        """Wait for the end that was asked for; nudge harder each time that takes too long."""
        if self._process is None:
            return
        for nudge, harder in zip(self.nudges, (*self.nudges[1:], None), strict=True):
            try:
                self._process.wait(nudge.seconds)
            except subprocess.TimeoutExpired:
                if harder is None:
                    raise self._failure("cannot be ended") from None
                self._process.send_signal(harder.signal)
            else:
                return

    def kill(self) -> None:
        """Kill the server's main process as a crash would; `start` brings it back."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @abstractmethod
    def _prepare(self) -> Sequence[str | Path]:
        """Make everything ready on disk and return the command to run."""

    @abstractmethod
    def _needed(self) -> Iterable[Path]:
        """Return every path the account must be able to reach."""

    @abstractmethod
    def _answers(self) -> bool:
        """Tell whether a client is served now."""

    def _run(self, command: Sequence[str | Path], *, input: bytes = b"") -> None:  # noqa: A002  # As subprocess.
        """Run one of the server's other programs to its end, which must be a good one."""
        process = self._spawn(command, ends_by=signal.SIGKILL, stdin=subprocess.PIPE)
        try:
            process.communicate(input)
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.returncode != 0:
            raise self._failure(f"cannot be set up ({Path(command[0]).name} failed)")

    def _spawn(
        self,
        command: Sequence[str | Path],
        *,
        ends_by: signal.Signals,
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        account = self.place.account
        launcher = (sys.executable, "-I", "-S", _LAUNCHER, str(os.getpid()), str(int(ends_by)))
        reach = (*self._needed(), self.place.sockets.path)
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                (*launcher, str(account.uid), str(account.gid), *reach, "--", *command),
                stdin=stdin,
                stdout=log,
                stderr=log,
                cwd=self.place.sockets.path,
                env=_ENVIRONMENT,
                pass_fds=(self.data_lock.descriptor,),
                start_new_session=True,
            )

    def _open_log(self) -> None:
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        descriptor = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._log_start = os.fstat(descriptor).st_size
        os.close(descriptor)

    def _failure(self, what: str) -> EmbeddedServerError:
        """Return the error to raise, which ends with what this run of the server logged last."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
        last_words = "\n".join(lines) or "it said nothing"
        return EmbeddedServerError(f"{self.name} {what}; {self.log_path} ends:\n{last_words}")
