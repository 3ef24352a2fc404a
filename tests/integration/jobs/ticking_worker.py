"""A worker whose timetable has one chore, due every two seconds.

Run as a script by tests that kill, stop and start it. The chore writes a line into `ticks` in the
working directory when it begins and when it ends, and does not end while there is a file `hold`.
"""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from arq.cron import cron

from service.jobs.context import Context
from service.jobs.periodic import job_function
from service.worker import Worker

PERIOD_SECONDS = 2


@dataclass(frozen=True)
class Ticked:
    """Who did it."""

    pid: int


async def chore(context: Context) -> Ticked:
    """Leave a mark."""
    del context
    pid = os.getpid()
    _write(f"begin {pid}")
    while Path("hold").exists():  # noqa: ASYNC110, ASYNC240  # It is another process that lets go.
        await asyncio.sleep(0.01)
    _write(f"end {pid}")
    return Ticked(pid)


def _write(line: str) -> None:
    with Path("ticks").open("a") as ticks:
        ticks.write(f"{line}\n")


CRON_JOBS = (
    cron(
        job_function(chore),
        name="chore",
        second=set(range(0, 60, PERIOD_SECONDS)),
        microsecond=0,
    ),
)

if __name__ == "__main__":
    Worker(cron_jobs=CRON_JOBS).run()
