"""Timetables of the tests' own: chores that note when they are called."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from arq.cron import cron

from service.config import BROKER_DATABASE
from service.jobs.context import Context
from service.jobs.periodic import job_function
from service.jobs.timekeeper import Timekeeper
from service.queue.timetable import Timetable, read_timetable
from service.store.cron_runs import CronRun
from service.store.tables import cron_runs
from tests.integration.jobs.worlds import World
from tests.servers import redis_client


@dataclass(frozen=True)
class Tally:
    """The outcome of a chore: how often it was called."""

    calls: int


class Chore:
    """A body that counts its calls, and fails at the first ones when it is told how."""

    def __init__(self, *failures: Exception) -> None:
        self.calls = 0
        self._failures = list(failures)

    def timetable(self, **when: Any) -> Timetable:  # noqa: ANN401  # arq's own parameters.
        """Return a timetable with this alone, due at New Year unless told otherwise."""

        async def chore(_: Context) -> Tally:
            self.calls += 1
            if self._failures:
                raise self._failures.pop(0)
            return Tally(self.calls)

        yearly: dict[str, Any] = {"month": 1, "day": 1, "hour": 0, "minute": 0, "microsecond": 0}
        calendar = when or yearly
        return read_timetable([cron(job_function(chore), name="chore", **calendar)])

    def keeper(self, world: World, **when: Any) -> Timekeeper:  # noqa: ANN401  # arq's own.
        """Return a worker's keeper of that timetable."""
        return Timekeeper(world.context, self.timetable(**when))

    async def do(self, world: World, run: CronRun) -> None:
        """Do what a worker does with the delivery of *run*."""
        [entry] = self.timetable()
        await entry.call({"context": world.context}, run)


async def runs(world: World, name: str = "chore") -> list[CronRun]:
    """Return every run of a function, by slot."""
    async with world.context.database.connect() as connection:
        rows = await connection.execute(
            sa.select(cron_runs).where(cron_runs.c.name == name).order_by(cron_runs.c.slot)
        )
        return [CronRun.of(row) for row in rows]


async def move_back(world: World, hours: float) -> None:
    """Let that much time pass, as far as the ledger can tell."""
    async with world.context.database.connect() as connection:
        past = timedelta(hours=hours)
        await connection.execute(
            sa.update(cron_runs).values(
                {
                    name: cron_runs.c[name] - past
                    for name in ("slot", "queued_at", "started_at", "finished_at")
                }
            )
        )


async def deliveries(redis_url: str, queue: str = "default") -> list[str]:
    """Return what waits in a queue."""
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        return await client.zrange(queue, 0, -1)
