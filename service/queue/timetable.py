"""When job functions are due: arq's cron entries, read as slots in UTC."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from arq.cron import CronJob
from arq.jobs import serialize_job

from service.queue.delivery import Delivery, score, to_json
from service.queue.plan import DEFAULT_PRIORITY
from service.store.cron_runs import CronRun

_QUEUES = {"run_tool": "tools", "cleanup": "maintenance", "statistics": "maintenance"}


def queue_of(function: str) -> str:
    """Return the queue in which a job function is delivered, unless its sender chooses another."""
    return _QUEUES.get(function, "default")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timetable: a job function and its slots, the moments at which it is due.

    Of arq's options those of the calendar count. That a slot is run once is a matter of the
    ledger, whatever `unique` says.
    """

    name: str
    queue: str
    cron_job: CronJob

    def after(self, moment: datetime) -> datetime:
        """Return the first slot later than *moment*."""
        self.cron_job.calculate_next(moment.astimezone(UTC))
        slot = self.cron_job.next_run
        assert slot is not None  # noqa: S101  # It was calculated in the line before.
        return slot

    def latest(self, moment: datetime) -> datetime:
        """Return the last slot that is not later than *moment*."""
        back = timedelta(seconds=1)
        while (slot := self.after(moment - back)) > moment:
            back *= 4  # arq only looks forward: begin far enough back, but no further.
        while (following := self.after(slot)) <= moment:
            slot = following
        return slot

    def deliver(self, run: CronRun) -> Delivery:
        """Return the delivery of the next attempt at *run*; made twice it is still one entry."""
        moment = run.slot.isoformat()
        return Delivery(
            id=f"cron:{self.name}:{moment}:{run.attempt + 1}",
            queue=self.queue,
            score=score(DEFAULT_PRIORITY, run.slot),
            payload=serialize_job(
                self.name, (moment,), {}, None, int(run.slot.timestamp() * 1000), serializer=to_json
            ),
        )

    async def call(self, ctx: dict[Any, Any], run: CronRun) -> None:
        """Call the job function as the delivery would."""
        await self.cron_job.coroutine(ctx, run.slot.isoformat())


Timetable: TypeAlias = Sequence[Entry]


def read_timetable(cron_jobs: Iterable[CronJob]) -> Timetable:
    """Return the entries for what `arq.cron.cron` made."""
    return tuple(Entry(each.name, queue_of(each.name), each) for each in cron_jobs)
