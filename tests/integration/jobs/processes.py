"""Workers and APIs as processes of their own, on the servers of a world."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

from service.cli.listening import address, listen
from service.config import BROKER_DATABASE
from service.embedded.servers import EmbeddedServers
from service.queue.enqueue import enqueue
from service.store import workers
from service.store.records import Job
from service.store.workers import Worker
from tests.integration.jobs.worlds import World
from tests.servers import redis_client
from tests.system.stacks import clean_environment
from tests.waiting import until

DATA20 = (sys.executable, "-m", "service")
DATA20_WORKER = (*DATA20, "worker")
ARQ_WORKER = (str(Path(sys.executable).with_name("arq")), "service.worker.WorkerSettings")

PATIENCE_SECONDS = 60.0
"""For a process to start or to end while the machine is busy."""


@dataclass(frozen=True)
class WorkerProcess:
    """A worker that was started as a user starts one, under the name of its world's."""

    world: World
    process: "subprocess.Popen[bytes]"
    log_path: Path

    @property
    def log(self) -> str:
        """What it wrote to stderr so far."""
        return self.log_path.read_text()

    async def row(self) -> Worker | None:
        """Return its row, if it has signed on under its own process number."""
        async with self.world.context.database.connect() as connection:
            found = await workers.find(connection, self.world.context.identity.name)
        return found if found is not None and found.pid == self.process.pid else None

    async def ready(self) -> Worker:
        """Return its row as soon as it has signed on."""
        row = await until(self.row, what="the worker to sign on", within=PATIENCE_SECONDS)
        assert row is not None
        return row

    async def draining(self) -> None:
        """Return when it shows that it takes no more jobs."""

        async def is_draining() -> bool:
            row = await self.row()
            return row is not None and row.is_draining

        await until(is_draining, what="the worker to drain", within=PATIENCE_SECONDS)

    async def exit_code(self) -> int:
        """Return its exit code when it has ended; a signal as its negative number."""
        await until(
            lambda: self.process.poll() is not None,
            what="the worker to end",
            within=PATIENCE_SECONDS,
        )
        return self.process.returncode


@asynccontextmanager
async def worker_process(
    world: World, command: Sequence[str] = DATA20_WORKER, **settings: str
) -> AsyncGenerator[WorkerProcess]:
    """Start a worker with the world's servers, tools and name; kill it afterwards.

    *settings* are environment variables; an empty one is taken away.
    """
    process, log_path = await _start(world, command, settings)
    try:
        yield WorkerProcess(world, process, log_path)
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class ApiProcess:
    """An API that was started as `data20 up` starts one, and a client of it."""

    client: httpx.AsyncClient
    process: "subprocess.Popen[bytes]"
    log_path: Path

    @property
    def log(self) -> str:
        """What it wrote to stderr so far."""
        return self.log_path.read_text()

    async def post(self, tool_name: str, **wishes: object) -> dict[str, Any]:
        """Ask for a job, and return the answer."""
        answer = await self.client.post("/api/run", json={"tool_name": tool_name, **wishes})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def exit_code(self) -> int:
        """Return its exit code when it has ended; a signal as its negative number."""
        await until(
            lambda: self.process.poll() is not None,
            what="the API to end",
            within=PATIENCE_SECONDS,
        )
        return self.process.returncode


@asynccontextmanager
async def api_process(world: World, **settings: str) -> AsyncGenerator[ApiProcess]:
    """Start an API with the world's servers and tools; kill it afterwards.

    Unless told otherwise it runs jobs itself as soon as it sees that no worker is there.
    """
    with listen("127.0.0.1", 0) as listener:
        command = (*DATA20, "api", "--listener", str(listener.fileno()))
        chosen = {"DATA20_LOCAL_AFTER_SECONDS": "0", **settings}
        process, log_path = await _start(world, command, chosen, listener.fileno())
        url = address(listener)
    try:
        async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
            assert (await client.get("/health")).status_code == 200
            yield ApiProcess(client, process, log_path)
    finally:
        process.kill()
        process.wait()


async def _start(
    world: World, command: Sequence[str], settings: Mapping[str, str], *descriptors: int
) -> "tuple[subprocess.Popen[bytes], Path]":
    known = world.context.settings
    assert known.database_url is not None
    assert known.redis_url is not None
    env = clean_environment(
        DATABASE_URL=known.database_url.get_secret_value(),
        REDIS_URL=known.redis_url.get_secret_value(),
        DATA20_VAR_DIR=str(known.var_dir),
        DATA20_TOOLS_DIR=str(known.tools_dir[0]),
        DATA20_WORKER_NAME=world.context.identity.name,
        DATA20_LOG_FORMAT="json",
    )
    env |= settings
    log_path = world.folder / f"log-{len(list(world.folder.glob('log-*')))}"
    with log_path.open("wb") as log:
        process = await asyncio.to_thread(
            subprocess.Popen,
            command,
            cwd=world.folder,
            env={name: value for name, value in env.items() if value},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            pass_fds=descriptors,
        )
    return process, log_path


async def post(world: World, job: Job) -> Job:
    """Deliver the job to whoever serves its queue."""
    context = world.context
    return await enqueue(context.database, context.broker, job)


async def waits(servers: EmbeddedServers) -> bool:
    """Tell whether a worker waits for deliveries."""
    async with redis_client(servers.redis_url, BROKER_DATABASE) as client:
        return any(each["cmd"] == "bzmpop" for each in await client.client_list())
