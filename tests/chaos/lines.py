"""Lines between a process and a server, through a port of ours, to be cut and frozen at will."""

import asyncio
import socket
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit


class Line:
    """A way to the server that listens at the socket *target*."""

    def __init__(self, target: Path) -> None:
        self._target = target
        # Bound for as long as we live, though it never listens: nobody else gets the port.
        self._place = _reusable_socket(0)
        self.port: int = self._place.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._is_frozen = False

    async def open(self) -> None:
        """Let whoever connects through; before that they are refused."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            listener = _reusable_socket(self.port)
            self._server = await loop.create_server(self._accept, sock=listener)

    def refuse(self) -> None:
        """End every connection, and refuse new ones until it is opened again."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    def cut(self) -> None:
        """End every connection at once, as a router that forgets them does."""
        for link in list(self._links):
            link.abort()

    def freeze(self) -> None:
        """Pass nothing on until `thaw`; who writes gets no error, who connects no answer."""
        self._is_frozen = True
        for link in self._links:
            link.hold()

    def hold_answers(self) -> None:
        """Let what is asked through, and keep the answers until `thaw`."""
        for link in self._links:
            link.hold(only_answers=True)

    def thaw(self) -> None:
        """Pass on what was held back, late."""
        self._is_frozen = False
        for link in list(self._links):
            link.let_go()

    def leads_to(self, url: str) -> str:
        """Return *url*, of the server this line leads to, as it is through the line."""
        parts = urlsplit(url)
        user = parts.netloc.rpartition("@")[0]
        scheme = parts.scheme.replace("unix", "redis")
        path = "/" if parts.scheme == "unix" else parts.path
        return f"{scheme}://{user}@127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        """End everything and give the port back."""
        self.refuse()
        self._place.close()

    def _accept(self) -> asyncio.Protocol:
        link = _Link(self._target, self._links)
        if self._is_frozen:
            link.hold()
        return link.near


class _Link:
    """One connection and its other half."""

    def __init__(self, target: Path, links: "set[_Link]") -> None:
        self._target = target
        self._links = links
        self.near = _End(self)
        self.far = _End(self)
        self.is_held = False
        self.are_answers_held = False
        self._connecting: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Go on to the server, for a client that has just connected."""
        if self not in self._links:
            self._links.add(self)
            self.near.consider()
            if not self.is_held:
                self._connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_unix_connection(lambda: self.far, str(self._target))
        except OSError:
            self.abort()
        else:
            if self not in self._links:  # Cut meanwhile.
                self.abort()
            self.near.consider()
            self.far.consider()

    def hold(self, *, only_answers: bool = False) -> None:
        """Pass nothing on, or nothing back."""
        self.is_held = not only_answers
        self.are_answers_held = True
        self.near.consider()
        self.far.consider()

    def let_go(self) -> None:
        """Pass on again."""
        self.is_held = self.are_answers_held = False
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(self._connect())
        self.near.consider()
        self.far.consider()

    def holds(self, end: "_End") -> bool:
        """Tell whether what *end* reads is to be kept for now."""
        return self.is_held or (end is self.far and self.are_answers_held)

    def other(self, end: "_End") -> "_End":
        """Return the half that *end* is not."""
        return self.far if end is self.near else self.near

    def finish(self) -> None:
        """End both halves once all is written."""
        self._links.discard(self)
        for end in (self.near, self.far):
            if end.transport is not None:
                end.transport.close()

    def abort(self) -> None:
        """End both halves without a word."""
        self._links.discard(self)
        for end in (self.near, self.far):
            if end.transport is not None:
                end.transport.abort()


class _End(asyncio.Protocol):
    """One half of a connection: what it reads, the other half writes."""

    def __init__(self, link: _Link) -> None:
        self._link = link
        self.transport: asyncio.Transport | None = None
        self.is_full = False
        self._held_back = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; nothing is read before both halves are there."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.pause_reading()
        if self._link.near is self:
            self._link.begin()

    def data_received(self, data: bytes) -> None:
        """Pass it on, or keep it until that is allowed: some loops read although paused."""
        self._held_back += data
        self.consider()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's.
        """End the other half too, once it has passed on what it has."""
        self._link.finish()

    def pause_writing(self) -> None:
        """Have the other half read no more: this one's reader is slow."""
        self.is_full = True
        self._link.other(self).consider()

    def resume_writing(self) -> None:
        """Have the other half read on."""
        self.is_full = False
        self._link.other(self).consider()

    def consider(self) -> None:
        """Pass on and read exactly when that is allowed."""
        if self.transport is None or self.transport.is_closing():
            return
        other = self._link.other(self)
        if self._link.holds(self) or other.transport is None or other.is_full:
            self.transport.pause_reading()
            return
        if self._held_back:
            data, self._held_back = bytes(self._held_back), bytearray()
            other.transport.write(data)
        self.transport.resume_reading()


def _reusable_socket(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made
