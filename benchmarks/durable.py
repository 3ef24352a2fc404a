"""What a job costs when nothing about it may be lost, and its tool costs nothing.

Every job is a row that is delivered, claimed and ended by the worker as it is, with its events and
its announcements; only the tool's process is left out. `python benchmarks/durable.py` starts
servers of its own.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import sqlalchemy as sa
from report import print_figures
from stores import NO_OP, Stores, open_stores

from service.queue.enqueue import deliver_all, submit
from service.store import jobs
from service.store.records import Job

WORKER = Path(__file__).with_name("durable_worker.py")
JOBS = 10_000
AT_A_TIME = (10, 50)
MEANWHILE = 3_000
CLIENTS = 16

_PAGE = 500


@dataclass(frozen=True)
class _Run:
    """One worker's life: as many jobs as were asked for."""

    seconds: float
    """From the first claim to the last end."""
    worker_seconds: float
    """Of a processor, spent by the worker on everything since its start."""
    commits: int
    commands: int
    megabytes_before: float
    megabytes_after: float


def measure() -> dict[str, float]:
    """Return each figure under its name."""
    return asyncio.run(_measure())


async def _measure() -> dict[str, float]:
    figures: dict[str, float] = {}
    async with open_stores() as stores:
        for at_a_time in AT_A_TIME:
            await stores.empty()
            await _make(stores, JOBS)
            run = await _run(stores, at_a_time, _nothing())
            figures |= {
                f"durable no-op jobs per second, {at_a_time} at a time": JOBS / run.seconds,
                f"PostgreSQL transactions per job, {at_a_time} at a time": run.commits / JOBS,
                f"Redis commands per job, {at_a_time} at a time": run.commands / JOBS,
                f"processor time of the worker per job, {at_a_time} at a time, ms": (
                    run.worker_seconds * 1000 / JOBS
                ),
                f"memory of a worker at its start, {at_a_time} at a time, MB": run.megabytes_before,
                f"memory of a worker after {JOBS:,} jobs, {at_a_time} at a time, MB": (
                    run.megabytes_after
                ),
            }
        await stores.empty()
        run = await _run(stores, AT_A_TIME[0], _submit(stores, MEANWHILE))
        figures[f"durable no-op jobs per second, while {CLIENTS} clients post them"] = (
            MEANWHILE / run.seconds
        )
    return figures


async def _run(stores: Stores, at_a_time: int, meanwhile: Awaitable[None]) -> _Run:
    """Have one worker run all jobs that wait, and those that come *meanwhile*."""
    commits, commands = await stores.commits(), await stores.commands()
    async with _worker(stores, at_a_time) as process:
        before = process.memory_info().rss / 1e6
        spent = sum(process.cpu_times()[:2])
        await meanwhile
        while await _count_unfinished(stores):  # noqa: ASYNC110  # Another process ends them.
            await asyncio.sleep(0.2)
        after = process.memory_info().rss / 1e6
        spent = sum(process.cpu_times()[:2]) - spent
    return _Run(
        seconds=await _seconds(stores),
        worker_seconds=spent,
        commits=await stores.commits() - commits,
        commands=await stores.commands() - commands,
        megabytes_before=before,
        megabytes_after=after,
    )


async def _nothing() -> None:
    """Let nothing come meanwhile."""


async def _make(stores: Stores, count: int) -> None:
    """Write and deliver *count* jobs."""
    made: list[Job] = []
    while len(made) < count:
        async with stores.database.begin() as connection:
            made += [await jobs.create(connection, NO_OP) for _ in range(_PAGE)]
        await deliver_all(stores.database, stores.broker, made[-_PAGE:])


async def _submit(stores: Stores, count: int) -> None:
    """Accept *count* jobs as the API does, for several clients at once."""
    numbers = iter(range(count))

    async def client() -> None:
        for _ in numbers:
            await submit(stores.database, stores.broker, NO_OP)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


@asynccontextmanager
async def _worker(stores: Stores, at_a_time: int) -> AsyncGenerator[psutil.Process]:
    """Run a worker from when it has signed on until it has nothing to do."""
    env = {
        **os.environ,
        "DATABASE_URL": stores.database_url,
        "REDIS_URL": stores.redis_url,
        "DATA20_VAR_DIR": str(stores.folder / "var"),
        "DATA20_TOOLS_DIR": str(stores.folder),
        "DATA20_CONCURRENCY": str(at_a_time),
        "DATA20_LOG_LEVEL": "error",
    }
    process = await asyncio.to_thread(subprocess.Popen, [sys.executable, str(WORKER)], env=env)
    try:
        while not await _has_signed_on(stores, process.pid):  # noqa: ASYNC110  # Another process.
            await asyncio.sleep(0.01)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait)


async def _has_signed_on(stores: Stores, pid: int) -> bool:
    async with stores.database.connect() as connection:
        query = sa.text("SELECT EXISTS (SELECT FROM workers WHERE pid = :pid)")
        return (await connection.execute(query, {"pid": pid})).scalar_one()


async def _count_unfinished(stores: Stores) -> int:
    async with stores.database.connect() as connection:
        query = sa.text("SELECT count(*) FROM jobs WHERE completed_at IS NULL")
        return (await connection.execute(query)).scalar_one()


async def _seconds(stores: Stores) -> float:
    """Return how long it was from the first claim to the last end."""
    async with stores.database.connect() as connection:
        query = sa.text("SELECT extract(epoch FROM max(completed_at) - min(started_at)) FROM jobs")
        return float((await connection.execute(query)).scalar_one())


if __name__ == "__main__":
    print_figures(measure())
