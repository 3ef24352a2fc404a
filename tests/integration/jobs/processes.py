"""Workers as processes of their own, on the servers of a world."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from service.queue.enqueue import enqueue
from service.store import workers
from service.store.records import Job
from service.store.workers import Worker
from tests.integration.jobs.worlds import World
from tests.system.stacks import clean_environment
from tests.waiting import until

DATA20_WORKER = (sys.executable, "-m", "service", "worker")
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
        )
    try:
        yield WorkerProcess(world, process, log_path)
    finally:
        process.kill()
        process.wait()


async def post(world: World, job: Job) -> Job:
    """Deliver the job to whoever serves its queue."""
    context = world.context
    return await enqueue(context.database, context.broker, job)
