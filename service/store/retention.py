"""Deleting what is past retention: one short statement at a time, never a job that has not ended.

Each statement is a transaction of its own, so no lock is held for longer than it takes. The guard
stands in every one of them, and any number of processes may do this at once.
"""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.moves import NOW, in_status, seconds
from service.store.states import FINAL
from service.store.statistics import remember
from service.store.tables import job_events, jobs

_IDS = sa.bindparam("ids", type_=sa.ARRAY(jobs.c.id.type))
_CUTOFF = NOW - seconds(sa.bindparam("retention_hours", type_=sa.Double) * 3600)
# What was created after the cutoff cannot have ended before it: this part has an index.
_IS_PAST = (in_status(FINAL), jobs.c.created_at < _CUTOFF, jobs.c.completed_at < _CUTOFF)

_PICK = sa.select(jobs.c.id).where(*_IS_PAST).limit(sa.bindparam("most"))
_PICKED = sa.select(jobs.c.id).where(jobs.c.id == sa.any_(_IDS), *_IS_PAST)

_EVENT_ROWS: sa.ColumnElement[Any] = sa.literal_column("job_events.ctid")
_EVENTS = sa.delete(job_events).where(
    _EVENT_ROWS
    == sa.any_(
        sa.func.array(
            sa.select(_EVENT_ROWS)
            .where(job_events.c.job_id.in_(_PICKED))
            .limit(sa.bindparam("most"))
            .scalar_subquery()
        )
    )
)
_GONE = (
    sa.delete(jobs)
    .where(
        # One order for all, and past whatever another process is just deleting.
        jobs.c.id.in_(_PICKED.order_by(jobs.c.id).with_for_update(skip_locked=True)),
        *_IS_PAST,
    )
    .returning(*jobs.c)
    .cte("gone")
)
_JOBS = sa.select(_GONE.c.id).add_cte(remember(_GONE))


async def pick(connection: AsyncConnection, *, retention_hours: float, most: int) -> Sequence[UUID]:
    """Return ids of jobs that ended more than *retention_hours* ago, in no order."""
    rows = await connection.execute(_PICK, {"retention_hours": retention_hours, "most": most})
    return rows.scalars().all()


async def delete_events(
    connection: AsyncConnection, ids: Collection[UUID], *, retention_hours: float, most: int
) -> int:
    """Delete up to *most* rows of events of those of the jobs that are past retention.

    Returns how many; none are left when it is less than *most*.
    """
    done = await connection.execute(
        _EVENTS, {"ids": list(ids), "retention_hours": retention_hours, "most": most}
    )
    return done.rowcount


async def delete_jobs(
    connection: AsyncConnection, ids: Collection[UUID], *, retention_hours: float
) -> Sequence[UUID]:
    """Delete those of the jobs that are past retention, with all rows that belong to them.

    Returns their ids; what they add to the statistics of their tools is kept.
    """
    rows = await connection.execute(_JOBS, {"ids": list(ids), "retention_hours": retention_hours})
    return rows.scalars().all()


async def find_unknown(connection: AsyncConnection, ids: Collection[UUID]) -> set[UUID]:
    """Return those of the ids that no job has."""
    rows = await connection.execute(
        sa.select(jobs.c.id).where(jobs.c.id == sa.any_(_IDS)), {"ids": list(ids)}
    )
    return set(ids) - set(rows.scalars())
