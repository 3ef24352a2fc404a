"""The embedded Valkey: what it is told, and how it is asked whether it is up."""

import hashlib
import signal
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from service.embedded.server import Nudge, Place, Server
from service.embedded.sockets import VALKEY_SOCKET
from service.embedded.wheels import valkey_server

SETTINGS = """\
port 0
unixsocket {socket}
unixsocketperm 700
user default reset on #{password_sha256} ~* &* +@all -acl -config -keys -shutdown
appendonly yes
appendfsync everysec
aof-load-truncated yes
save ""
maxmemory-policy noeviction
"""
"""Every write is in the file before it is answered, and on disk within a second. Nothing is ever
evicted. The commands taken away stop a whole server, or change what its owner relies on."""


class ValkeyServer(Server):
    """A Valkey whose data outlives it, behind a socket and a password."""

    name: ClassVar[str] = "Valkey"
    nudges: ClassVar[tuple[Nudge, ...]] = (
        Nudge(signal.SIGTERM, 10),
        Nudge(signal.SIGKILL, 10),
    )

    def __init__(self, place: Place, password: str) -> None:
        super().__init__(place)
        self._password = password
        self._program = valkey_server()
        self._data = place.folder / "valkey"

    @property
    def url(self) -> str:
        """Address for redis-py, without a database's number."""
        return f"unix://:{self._password}@{quote(str(self._socket))}"

    @property
    def _socket(self) -> Path:
        return self.place.sockets.path / VALKEY_SOCKET

    def _prepare(self) -> Sequence[str | Path]:
        account = self.place.account
        account.make_folder(self._data)
        settings = account.write_file(
            self.place.sockets.path / "valkey.conf",
            SETTINGS.format(
                socket=self._socket,
                password_sha256=hashlib.sha256(self._password.encode()).hexdigest(),
            ),
        )
        return (self._program, settings, "--dir", self._data)

    def _needed(self) -> Iterable[Path]:
        return (self._program, self._data)

    def _answers(self) -> bool:
        """Log in and PING over the socket; a server still reading its data answers an error."""
        request = f"AUTH {self._password}\r\nPING\r\n".encode()
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(1)
                client.connect(str(self._socket))
                client.sendall(request)
                return client.makefile("rb").read(12) == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False
