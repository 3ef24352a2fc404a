"""A Valkey of a test's own, with settings that the embedded one does not take."""

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from redis.exceptions import RedisError

from service.embedded.wheels import valkey_server
from tests.servers import redis_client
from tests.waiting import until


@dataclass
class Valkey:
    """A server that may be ended and started anew; its data stays."""

    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "valkey.sock"

    @property
    def url(self) -> str:
        """Its address."""
        return f"unix://{self.socket}"

    async def start(self, *settings: str, waits: bool = True) -> None:
        """Start it with *settings*, as on its command line; return when it answers."""
        own = ("--port", "0", "--unixsocket", self.socket, "--dir", self.folder, "--save", "")
        self.process = await asyncio.to_thread(
            subprocess.Popen, [valkey_server(), *own, *settings], stdout=subprocess.DEVNULL
        )
        await until(self._answers if waits else self.socket.exists, what="Valkey to start")

    async def stop(self, *, saves: bool = False) -> None:
        """End it, with its data in a file if it *saves*."""
        assert self.process is not None
        if saves:
            async with redis_client(self.url) as client:
                await client.save()
        self.process.kill()
        await asyncio.to_thread(self.process.wait)

    async def _answers(self) -> bool:
        try:
            async with redis_client(self.url) as client:
                return await client.ping()
        except (RedisError, OSError):
            return False


@asynccontextmanager
async def own_valkey() -> AsyncGenerator[Valkey]:
    """Give a server that runs."""
    with tempfile.TemporaryDirectory(prefix="data20-tests-") as folder:
        valkey = Valkey(Path(folder))
        await valkey.start()
        try:
            yield valkey
        finally:
            await valkey.stop()
