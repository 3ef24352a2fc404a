"""The processes of the service under test, started as the product starts them, and kept up."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from service.cli.listening import address, listen
from service.embedded.servers import EmbeddedServers
from service.embedded.sockets import POSTGRES_SOCKET
from tests.chaos.lines import Line
from tests.chaos.remains import open_files
from tests.system.stacks import clean_environment

_LOOK_SECONDS = 0.02
_STOP_SECONDS = 30.0


@dataclass
class Member:
    """One worker or API, each time under the same name and through the same lines."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    postgres: Line
    valkey: Line
    log_path: Path
    listener: socket.socket | None = None
    unexpected: list[int] = field(default_factory=list[int])
    """Exit codes of ends that nobody here brought about."""
    killed_at: list[float] = field(default_factory=list[float])
    """Moments of SIGKILL, in seconds since 1970."""
    _process: "subprocess.Popen[bytes] | None" = None
    _stays_down_until: float = 0.0
    _is_end_expected: bool = False
    _is_wanted: bool = True

    @property
    def url(self) -> str:
        """Where the API answers."""
        assert self.listener is not None
        return address(self.listener)

    @property
    def is_alive(self) -> bool:
        """True while its process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def open_files(self) -> Counter[str]:
        """What its process has open now, sockets left out; nothing while it is down."""
        return open_files(self._process.pid) if self._process and self.is_alive else Counter()

    async def keep_up(self) -> None:
        """Start it, and start it again whenever it has ended, until it is to stop."""
        while self._is_wanted:
            if not self.is_alive:
                self._bury()
                await asyncio.sleep(max(0.0, self._stays_down_until - time.monotonic()))
                if self._is_wanted:
                    await asyncio.to_thread(self._start)
            await asyncio.sleep(_LOOK_SECONDS)

    def kill(self, down_seconds: float) -> None:
        """Kill it; it is started again after so long."""
        self.killed_at.append(time.time())
        self._end(signal.SIGKILL, down_seconds)

    def deploy(self) -> None:
        """Ask it to end; its successor starts when it has."""
        self._end(signal.SIGTERM, 0.0)

    def stop(self) -> None:
        """Have it run no more."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it run on."""
        self._send(signal.SIGCONT)

    async def end(self) -> bool:
        """Stop it for good, as its users do; tell whether it ended well and in time.

        The signal that asked for it counts as a good end: uvicorn passes it on to itself.
        """
        self._is_wanted = False
        self._end(signal.SIGTERM, 0.0)
        deadline = time.monotonic() + _STOP_SECONDS
        while self.is_alive and time.monotonic() < deadline:  # noqa: ASYNC110  # A process sets no event.
            await asyncio.sleep(_LOOK_SECONDS)
        is_well = self._process is None or self._process.poll() in {0, -signal.SIGTERM}
        self.destroy()
        return is_well

    def destroy(self) -> None:
        """Leave nothing of it."""
        self._is_wanted = False
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.postgres.close()
        self.valkey.close()
        if self.listener is not None:
            self.listener.close()

    def _start(self) -> None:
        descriptors = () if self.listener is None else (self.listener.fileno(),)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                env=self.env,
                cwd=self.log_path.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=descriptors,
                start_new_session=True,
            )
        self._is_end_expected = False

    def _bury(self) -> None:
        if self._process is not None and not self._is_end_expected:
            self.unexpected.append(self._process.returncode)
        self._process = None

    def _end(self, number: signal.Signals, down_seconds: float) -> None:
        self._is_end_expected = True
        self._stays_down_until = time.monotonic() + down_seconds
        self._send(number)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


class Recruiter:
    """Makes members that live in *folder*, on *servers*, with *settings* of the environment."""

    def __init__(self, folder: Path, servers: EmbeddedServers, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._servers = servers
        self._settings = settings

    async def worker(self, name: str) -> Member:
        """Return a worker of this name, not started yet."""
        return await self._member(name, ("worker",), None)

    async def api(self, name: str) -> Member:
        """Return an API, not started yet; who connects meanwhile waits for it."""
        listener = listen("127.0.0.1", 0)
        return await self._member(name, ("api", "--listener", str(listener.fileno())), listener)

    async def _member(
        self, name: str, arguments: tuple[str, ...], listener: socket.socket | None
    ) -> Member:
        database_url, redis_url = self._servers.database_url, self._servers.redis_url
        host = Path(parse_qs(urlsplit(database_url).query)["host"][0])
        postgres, valkey = Line(host / POSTGRES_SOCKET), Line(Path(urlsplit(redis_url).path))
        await postgres.open()
        await valkey.open()
        return Member(
            name=name,
            command=(
                *(sys.executable, "-P", "-m", "service"),
                *(*arguments, "--owner", str(os.getpid())),
            ),
            env=clean_environment(
                DATABASE_URL=postgres.leads_to(database_url),
                REDIS_URL=valkey.leads_to(redis_url),
                DATA20_WORKER_NAME=name,
                **self._settings,
            ),
            postgres=postgres,
            valkey=valkey,
            log_path=self._folder / f"{name}.log",
            listener=listener,
        )
