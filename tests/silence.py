"""Servers that are there and do not answer."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


@dataclass
class Line:
    """A way to a server through a port of this host; clear `is_alive`, and it says nothing."""

    port: int = 0
    is_alive: asyncio.Event = field(default_factory=asyncio.Event)


def through(line: Line, url: str) -> str:
    """Return *url*, of a server of this host, as it is through *line*."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    path = "/" if parts.scheme == "unix" else parts.path
    scheme = parts.scheme.replace("unix", "redis")
    return f"{scheme}://{user}@127.0.0.1:{line.port}{path}"


def postgres_socket(url: str) -> Path:
    """Return the socket of an embedded PostgreSQL."""
    return Path(parse_qs(urlsplit(url).query)["host"][0]) / ".s.PGSQL.5432"


@asynccontextmanager
async def line_to(socket: Path) -> AsyncGenerator[Line]:
    """Give a line to the server that listens at *socket*."""
    line = Line()
    line.is_alive.set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                await line.is_alive.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await line.is_alive.wait()
        there, back = await asyncio.open_unix_connection(socket)
        await asyncio.gather(carry(reader, back), carry(there, writer))

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    async with server:
        line.port = server.sockets[0].getsockname()[1]
        yield line
        line.is_alive.set()  # So that what still waits comes to its end.
