"""The clock of the job functions: takes slots as they come, and runs again what got lost."""

import asyncio
from collections.abc import Iterable
from datetime import datetime

import structlog

from service.errors import BrokerUnavailableError
from service.jobs.context import Context
from service.jobs.periodic import LIMIT_SECONDS, MAX_ATTEMPTS
from service.queue.cancelling import cancel_all
from service.queue.timetable import Entry, Timetable
from service.store import cron_runs
from service.store.cron_runs import CronRun, RunStatus

log = structlog.stdlib.get_logger(__name__)

_MOST_SECONDS = 30.0
"""The longest sleep: the store's clock may be set, and ours stands still while the host sleeps."""

_MARGIN_SECONDS = 60.0
"""For a run that was ended at its limit to say so."""


class Timekeeper:
    """One worker's part in keeping the timetable; any number of workers do it at once.

    The winner of a slot delivers its run as any other delivery. While Redis does not answer it
    runs here, if this worker serves the queue.
    """

    def __init__(self, context: Context, timetable: Timetable) -> None:
        self._context = context
        self._timetable = timetable
        self._by_name = {entry.name: entry for entry in timetable}
        self._periods: dict[str, tuple[datetime, datetime]] = {}
        self._runs: set[asyncio.Task[None]] = set()

    async def keep(self) -> None:
        """Take every slot that comes, until cancelled."""
        while True:
            pause = await self.tick()
            await asyncio.sleep(min(pause, _MOST_SECONDS))

    async def tick(self) -> float:
        """Take the slots that are due; return the seconds until the next one.

        Only the store's clock counts. After a downtime each function has one slot to catch up
        with, the latest.
        """
        if self._context.is_draining:
            return _MOST_SECONDS  # What comes now is for those who stay.
        taken: list[tuple[Entry, CronRun]] = []
        async with self._context.database.connect() as connection:
            now = await cron_runs.read_clock(connection)
            for entry in self._timetable:
                begun, following = self._periods.get(entry.name, (now, now))
                if begun <= now < following:
                    continue
                slot = entry.latest(now)
                following = entry.after(slot)
                run = await cron_runs.take(connection, entry.name, slot, following=following)
                self._periods[entry.name] = (slot, following)
                if run is not None:
                    taken.append((entry, run))
        await self._begin(taken)
        waits = [(following - now).total_seconds() for _, following in self._periods.values()]
        return min(waits, default=_MOST_SECONDS)

    async def recover(self) -> int:
        """Deliver again what was lost with a worker or with Redis; return how many runs."""
        context = self._context
        async with context.database.connect() as connection:
            lost = await cron_runs.rescue_lost(
                connection,
                lease_seconds=context.settings.lease_seconds,
                limit_seconds=LIMIT_SECONDS + _MARGIN_SECONDS,
                max_attempts=MAX_ATTEMPTS,
                trusts_leases=context.regularity.is_given,
            )
            overdue = await cron_runs.list_overdue(
                connection, older_than_seconds=context.settings.dispatch_seconds
            )
        for run in lost:
            log.warning("cron run lost its worker", function=run.name, worker=run.worker)
        waiting = [*(run for run in lost if run.status is RunStatus.WAITING), *overdue]
        return await self._begin(
            [(self._by_name[run.name], run) for run in waiting if run.name in self._by_name]
        )

    async def close(self) -> None:
        """End what runs here; somebody else begins it again."""
        await cancel_all(self._runs)

    async def _begin(self, runs: Iterable[tuple[Entry, CronRun]]) -> int:
        """Deliver those that wait in no queue, or begin them here; return how many there were."""
        if self._context.is_draining:
            return 0
        begun = 0
        for entry, run in runs:
            delivery = entry.deliver(run)
            try:
                if not await self._context.broker.missing(entry.queue, [delivery.id]):
                    continue
                await self._context.broker.deliver([delivery])
            except BrokerUnavailableError as error:
                log.warning("cron run not delivered", function=run.name, reason=str(error))
                if not self._is_served(entry, run):
                    continue
                self._run_here(entry, run)
            begun += 1
        return begun

    def _is_served(self, entry: Entry, run: CronRun) -> bool:
        return entry.queue in self._context.settings.queues and all(
            task.get_name() != _task_name(run) for task in self._runs
        )

    def _run_here(self, entry: Entry, run: CronRun) -> None:
        task = asyncio.create_task(
            entry.call({"context": self._context}, run), name=_task_name(run)
        )
        self._runs.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._runs.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("cron run not begun", run=task.get_name(), reason=str(error))


def _task_name(run: CronRun) -> str:
    return f"cron {run.name} {run.slot.isoformat()}"
