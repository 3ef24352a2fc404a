"""The service as processes: API and worker are started, watched over, and stopped in order."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2 as httpx
import structlog

from service import __version__
from service.cli import banner
from service.cli.listening import address
from service.cli.processes import Child
from service.cli.succession import ASKS_FOR_SUCCESSOR
from service.config import Settings
from service.embedded.servers import EmbeddedServers
from service.errors import Data20Error
from service.execution.isolation import detect_isolation
from service.queue.broker import Broker
from service.store.database import Database
from service.store.migrate import upgrade
from service.tools.catalog import Catalog

log = structlog.stdlib.get_logger(__name__)

_READY_SECONDS = 30.0
_LOOK_SECONDS = 0.5

Say = Callable[[str], None]

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the two servers are, and whose they are."""

    database_url: str
    database_origin: str
    redis_url: str
    redis_origin: str
    embedded: EmbeddedServers | None = None
    """Those of the two that this process runs itself."""


class Stack:
    """The API, the worker and the embedded servers, watched over."""

    def __init__(
        self, url: str, api: Child, worker: Child, embedded: EmbeddedServers | None
    ) -> None:
        self.url = url
        self._api = api
        self._worker = worker
        self._embedded = embedded
        self._stopping = asyncio.Event()
        self._succession: asyncio.Future[None] | None = None

    async def until_stopped(self) -> None:
        """Return when a signal came. Raises Data20Error when a process does not stay up."""
        await self._unless_dead(self._stopping.wait())

    async def until_ready(self) -> bool:
        """Return True when jobs are accepted and a worker is there, False when a signal came first.

        Raises Data20Error.
        """
        return await self.unless_stopped(self._poll()) is not None

    async def unless_stopped(self, step: Coroutine[Any, Any, _Result]) -> _Result | None:
        """Return what *step* does; None when a signal came first.

        Raises what it raises, and Data20Error when a process does not stay up.
        """
        work = asyncio.ensure_future(step)
        stopped = asyncio.ensure_future(self._stopping.wait())
        try:
            await self._unless_dead(
                asyncio.wait((work, stopped), return_when=asyncio.FIRST_COMPLETED)
            )
            return work.result() if work.done() else None
        finally:
            for task in (work, stopped):
                task.cancel()
            await asyncio.gather(work, stopped, return_exceptions=True)

    def heed_signals(self, say: Say) -> None:
        """Stop at the first SIGINT or SIGTERM; at a second one, hurry."""

        def heed() -> None:
            if self._stopping.is_set():
                self._worker.ask_to_stop()
                return
            self._stopping.set()  # First: whoever read what we say may be gone.
            say("stopping: running jobs may finish, Ctrl-C again hands them back now")

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, heed)
        loop.add_signal_handler(ASKS_FOR_SUCCESSOR, self._begin_succession)

    def _begin_succession(self) -> None:
        self._succession = asyncio.ensure_future(self._worker.succeed())

    async def stop(self) -> None:
        """Drain the worker, then stop the API."""
        for child in (self._worker, self._api):
            child.ask_to_stop()
            await child.ended()

    async def _poll(self) -> bool:
        # A proxy that the environment names cannot lead to ourselves.
        client = httpx.AsyncClient(trust_env=False)
        try:
            async with asyncio.timeout(_READY_SECONDS), client:
                while not await _is_ready(client, self.url):  # noqa: ASYNC110  # Another process.
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise Data20Error(f"Nothing is ready at {self.url}") from None
        return True

    async def _unless_dead(self, step: Coroutine[Any, Any, Any]) -> None:
        tasks = [
            asyncio.ensure_future(step),
            asyncio.ensure_future(self._api.keep_alive()),
            asyncio.ensure_future(self._worker.keep_alive()),
            asyncio.ensure_future(self._keep_servers_alive()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_servers_alive(self) -> None:
        """Start a server again that has died. Raises EmbeddedServerError when it cannot be."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            # In this thread, though it takes a moment: servers die with the thread they are of.
            for name in self._embedded.revive() if self._embedded else ():
                log.error("server had ended, started again", server=name)


async def _is_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        answer = await client.get(f"{url}/ready", timeout=2)
    except httpx.HTTPError:
        return False
    return answer.is_success and answer.json()["workers"] > 0


@asynccontextmanager
async def stack(
    settings: Settings, addresses: Addresses, listener: socket.socket, say: Say
) -> AsyncGenerator[Stack]:
    """Bring the schema up to date, start API and worker, and say what there is; stop at the end."""
    url = address(listener)
    for each in await _prepare(settings, addresses):
        say(each)
    env = {
        **os.environ,
        "DATABASE_URL": addresses.database_url,
        "REDIS_URL": addresses.redis_url,
        "DATA20_LOG_LEVEL": settings.log_level,
    }
    listener.set_inheritable(True)  # Has no keywords.
    descriptor = listener.fileno()
    api = Child(["api", "--listener", str(descriptor)], env, pass_fds=[descriptor])
    worker = Child(["worker"], env)
    running = Stack(url, api, worker, addresses.embedded)
    running.heed_signals(say)
    try:
        await asyncio.gather(api.start(), worker.start())
        if await running.until_ready():
            at_a_time = f"{settings.concurrency} jobs at a time"
            say(banner.line("ok", "worker", f"{settings.worker}, {at_a_time}"))
            say(banner.line("->", "open", url))
        yield running
    finally:
        await running.stop()


async def _prepare(settings: Settings, addresses: Addresses) -> list[str]:
    database = Database(addresses.database_url, name="data20-up", pool_size=1, answer_within=None)
    broker = Broker(addresses.redis_url, name="data20-up")
    try:
        before, after = await upgrade(database)
        schema = (
            f"at {after}" if before == after else f"brought from {before or 'nothing'} to {after}"
        )
        return [
            f"data20 {__version__}",
            await banner.database_line(database, addresses.database_origin),
            banner.line("ok", "schema", schema),
            await banner.broker_line(broker, addresses.redis_origin),
            *banner.tools_lines(Catalog(settings.tools_dir), settings.tools_dir),
            banner.line("ok", "isolation", str(await asyncio.to_thread(detect_isolation))),
        ]
    finally:
        await broker.close()
        await database.close()
