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
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import sqlalchemy as sa
from report import print_table
from stores import Stores, open_stores

from service.queue.enqueue import redeliver
from service.store import jobs
from service.store.records import Job, NewJob

WORKER = Path(__file__).with_name("durable_worker.py")
JOBS = {10: 5_000, 50: 10_000}
"""How many, by how many at a time; the last worker has then run ten thousand."""

_PAGE = 500
_AT_ONCE = 16

_NEW = NewJob(
    tool_name="no_op",
    parameters={},
    queue="tools",
    priority=5,
    max_attempts=4,
    retry_delay_seconds=60.0,
    soft_limit_seconds=3300.0,
    hard_limit_seconds=3600.0,
)


@dataclass(frozen=True)
class _Run:
    seconds: float
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
        for at_a_time, count in JOBS.items():
            run = await _run(stores, count, at_a_time)
            figures |= {
                f"durable no-op jobs per second, {at_a_time} at a time": count / run.seconds,
                f"transactions per durable job, {at_a_time} at a time": run.commits / count,
                f"Redis commands per durable job, {at_a_time} at a time": run.commands / count,
                f"memory of a worker after {count} jobs, MB": run.megabytes_after,
            }
        figures["memory of a worker at its start, MB"] = run.megabytes_before
    return figures


async def _run(stores: Stores, count: int, at_a_time: int) -> _Run:
    """Have one worker run *count* jobs that wait when it starts."""
    await stores.empty()
    await _make(stores, count)
    commits, commands = await stores.commits(), await stores.commands()
    async with _worker(stores, at_a_time) as process:
        before = psutil.Process(process.pid).memory_info().rss / 1e6
        while await _count_unfinished(stores):
            await asyncio.sleep(0.2)
        after = psutil.Process(process.pid).memory_info().rss / 1e6
    return _Run(
        seconds=await _seconds(stores),
        commits=await stores.commits() - commits,
        commands=await stores.commands() - commands,
        megabytes_before=before,
        megabytes_after=after,
    )


async def _make(stores: Stores, count: int) -> None:
    """Write and deliver *count* jobs."""

    async def make(part: int) -> list[Job]:
        async with stores.database.connect() as connection:
            return [await jobs.create(connection, _NEW) for _ in range(part)]

    parts = await asyncio.gather(*(make(count // _AT_ONCE) for _ in range(_AT_ONCE)))
    made = [job for part in parts for job in part]
    made += await make(count - len(made))
    for first in range(0, count, _PAGE):
        await redeliver(stores.database, stores.broker, made[first : first + _PAGE])


@asynccontextmanager
async def _worker(stores: Stores, at_a_time: int) -> AsyncGenerator["subprocess.Popen[bytes]"]:
    env = {
        **os.environ,
        "DATABASE_URL": stores.database_url,
        "REDIS_URL": stores.redis_url,
        "DATA20_VAR_DIR": str(stores.folder / "var"),
        "DATA20_TOOLS_DIR": str(stores.folder),
        "DATA20_CONCURRENCY": str(at_a_time),
        "DATA20_LOG_LEVEL": "warning",
    }
    process = await asyncio.to_thread(subprocess.Popen, [sys.executable, str(WORKER)], env=env)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait)


async def _count_unfinished(stores: Stores) -> int:
    async with stores.database.connect() as connection:
        query = sa.text(
            "SELECT count(*) FROM jobs WHERE status IN ('pending', 'queued', 'running')"
        )
        return (await connection.execute(query)).scalar_one()


async def _seconds(stores: Stores) -> float:
    """Return how long it was from the first claim to the last end."""
    async with stores.database.connect() as connection:
        query = sa.text("SELECT extract(epoch FROM max(completed_at) - min(started_at)) FROM jobs")
        return float((await connection.execute(query)).scalar_one())


if __name__ == "__main__":
    print_table(measure())
