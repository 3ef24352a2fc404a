"""How much work there is, queue by queue."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.moves import NOW
from service.store.states import WAITING, Status
from service.store.tables import jobs


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """What one queue holds now, by the rows of its jobs."""

    queue: str
    waiting: int
    """Jobs that could start at once."""
    scheduled: int
    """Jobs whose time is still to come: retries and those that were put off."""
    running: int
    oldest_waiting_seconds: float | None
    """How long the first of those that wait could have started; None when there is none."""


_IS_WAITING = jobs.c.status.in_(sorted(WAITING))
_IS_DUE = sa.func.coalesce(jobs.c.next_attempt_at, NOW) <= NOW
_DUE_SINCE = sa.func.greatest(
    sa.func.coalesce(jobs.c.queued_at, jobs.c.created_at), jobs.c.next_attempt_at
)
_DEPTHS = (
    sa.select(
        jobs.c.queue,
        sa.func.count().filter(_IS_WAITING, _IS_DUE).label("waiting"),
        sa.func.count().filter(_IS_WAITING, ~_IS_DUE).label("scheduled"),
        sa.func.count().filter(jobs.c.status == Status.RUNNING).label("running"),
        sa.cast(
            sa.extract("epoch", NOW - sa.func.min(_DUE_SINCE).filter(_IS_WAITING, _IS_DUE)),
            sa.Double,
        ).label("oldest_waiting_seconds"),
    )
    .where(jobs.c.status.in_(sorted(WAITING | {Status.RUNNING})))
    .group_by(jobs.c.queue)
    .order_by(jobs.c.queue)
)


async def measure(connection: AsyncConnection) -> list[QueueDepth]:
    """Return what each queue holds; one that holds nothing is left out."""
    return [
        QueueDepth(row.queue, row.waiting, row.scheduled, row.running, row.oldest_waiting_seconds)
        for row in await connection.execute(_DEPTHS)
    ]
