"""What the tests of this room stand in: a worker's context, its tools, and its jobs."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent
from typing import Any, TypeAlias
from uuid import UUID

from service.config import Settings
from service.errors import StoreUnavailableError
from service.execution.isolation import Isolation
from service.execution.leftovers import find_leftovers
from service.jobs.context import Context
from service.jobs.run_tool import run_tool
from service.store import events, jobs, lookup
from service.store.events import Event
from service.store.lookup import JobDetail
from service.store.records import Job
from service.worker import make_context
from tests.integration.store.making import NEW
from tests.waiting import until

_ALL = 1_000_000

QUICK = """
    print("done")
"""
"""A tool that ends at once."""

ENDLESS = """
    import signal, sys, time

    def stop(*_):
        print("asked to stop", flush=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    print("started", flush=True)
    while True:
        time.sleep(60)
"""
"""A tool that runs until it is asked to stop, and then says so."""

GATED = """
    import argparse, time
    from pathlib import Path

    parser = argparse.ArgumentParser()
    parser.add_argument("--gate", required=True)
    gate = Path(parser.parse_args().gate)
    Path("left.txt").write_text("left behind")
    print("started", flush=True)
    while not gate.exists():
        time.sleep(0.01)
    print("ended", flush=True)
"""
"""A tool that leaves a file, and ends as soon as there is another one."""


@dataclass(frozen=True)
class World:
    """One worker: it has signed on nowhere yet and waits for nothing."""

    context: Context
    folder: Path

    def add_tool(self, name: str, source: str) -> None:
        """Write a tool for all worlds of this folder."""
        (self.folder / "tools" / f"{name}.py").write_text(dedent(source))

    async def submit(
        self,
        tool_name: str,
        parameters: Mapping[str, Any] | None = None,
        grace_seconds: float = 0.0,
        **changes: Any,  # noqa: ANN401  # As many types as fields.
    ) -> Job:
        """Accept a job for the tool; nothing is delivered, and at once the dispatcher might."""
        new = replace(NEW, tool_name=tool_name, parameters=parameters or {}, **changes)
        async with self.context.database.connect() as connection:
            return await jobs.create(connection, new, grace_seconds=grace_seconds)

    async def deliver(self, job_id: object) -> None:
        """Do what the worker does with a delivery of that job, or of whatever it says instead."""
        given = str(job_id) if isinstance(job_id, UUID) else job_id
        await run_tool({"context": self.context}, given)

    async def run(self, job: Job) -> Job:
        """Deliver the job here, and return what became of it."""
        await self.deliver(job.id)
        return await self.read(job)

    async def begin(self, job: Job) -> asyncio.Task[None]:
        """Deliver the job here, and return once its tool has said something."""
        delivery = asyncio.create_task(self.deliver(job.id))
        await until(lambda: self.lines(job), what="the tool to say something")
        return delivery

    async def reconnected(self) -> None:
        """Return when the store answers again, on a connection of after its outage."""

        async def answers() -> bool:
            try:
                return bool(await self.context.database.version())
            except StoreUnavailableError:
                return False

        await until(answers, what="the store to answer", within=60)

    async def read(self, job: Job) -> Job:
        """Return the job as it is now."""
        return (await self.detail(job)).job

    async def detail(self, job: Job) -> JobDetail:
        """Return the job as it is now, with what it left."""
        async with self.context.database.connect() as connection:
            return await lookup.get_detail(connection, job.id)

    async def lines(self, job: Job) -> list[str]:
        """Return what the job's tool has said so far."""
        async with self.context.database.connect() as connection:
            lines = await events.read_lines(connection, job.id, most=_ALL)
        return [line.text for line in lines]

    async def events(self, job: Job) -> list[Event]:
        """Return all events of the job, after a look at their numbers: 1 to n, the row's last."""
        async with self.context.database.connect() as connection:
            found = await events.read(connection, job.id, most=_ALL)
        numbers = [number for event in found for number in range(event.seq, event.last_seq + 1)]
        assert numbers == list(range(1, (await self.read(job)).last_seq + 1))
        return found

    async def states(self, job: Job) -> list[str]:
        """Return the names of the job's moves so far."""
        return [event.data["move"] for event in await self.events(job) if event.kind == "status"]

    def leftovers(self, job: Job) -> list[object]:
        """Return what is left of the job's runs on this machine, which should be nothing."""
        settings = self.context.settings
        workspaces = settings.workspaces.glob("*") if settings.workspaces.is_dir() else ()
        processes = [pid for fence in range(5) for pid in find_leftovers(f"{job.id}:{fence}")]
        return [*workspaces, *processes, *self.context.running]

    def kept_files(self) -> list[str]:
        """Return the name of every file in the artifact store, unfinished ones too."""
        folder = self.context.settings.artifacts
        return sorted(path.name for path in folder.rglob("*") if path.is_file())


MakeWorld: TypeAlias = Callable[..., Awaitable[World]]


@asynccontextmanager
async def open_world(
    folder: Path, isolation: Isolation, given: Mapping[str, object]
) -> AsyncGenerator[World]:
    """Open a worker's world whose tools and files are in *folder*; *given* are its settings."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    settings = Settings.model_validate(
        {
            "tools_dir": (tools,),
            "var_dir": folder / "var",
            "worker_name": "worker@tests",
            "grace_seconds": 5,
            **given,
        }
    )
    context = make_context(settings, isolation)
    try:
        yield World(context, folder)
    finally:
        await context.broker.close()
        await context.database.close()
