"""Which waiting jobs are to be delivered and when, and which deliveries should be in Redis.

A waiting job has either a moment at which it is to be delivered (`deliver_at`), or a delivery that
is out. Nothing here reads more of a job than its delivery needs.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.moves import NOW, in_status, state_event
from service.store.records import Job, Waiting
from service.store.states import MOVES, WAITING, Move, Status
from service.store.tables import jobs


class Turn(IntEnum):
    """What only one process at a time does. The numbers are any that nobody else locks."""

    DISPATCH = 0x64617461_3231
    RESTORE = 0x64617461_3232


class Place(NamedTuple):
    """A place in a queue's order; what is smaller is delivered first."""

    priority: int
    created_at: datetime
    job_id: UUID

    @classmethod
    def of(cls, waiting: Waiting) -> "Place":
        """Return the place of a job."""
        return cls(waiting.priority, waiting.created_at, waiting.id)


_WAITS = in_status(WAITING)
# In words of its own, so that the index of exactly these is seen to fit under every plan.
_IS_OUT = sa.text("jobs.status IN ('pending', 'queued') AND jobs.deliver_at IS NULL")
_NARROW = (jobs.c.id, jobs.c.fence, jobs.c.queue, jobs.c.priority, jobs.c.created_at)

_UNTIL_NEXT = sa.select(
    sa.cast(sa.extract("epoch", sa.func.min(jobs.c.deliver_at) - NOW), sa.Double)
).where(jobs.c.deliver_at.is_not(None))
_DUE = (
    sa.select(*_NARROW)
    .where(jobs.c.deliver_at <= NOW, _WAITS)
    .order_by(jobs.c.deliver_at)
    .limit(sa.bindparam("most"))
)
_IN_QUEUE = (
    sa.select(*_NARROW)
    .where(jobs.c.queue == sa.bindparam("queue_name"), _IS_OUT)
    .order_by(jobs.c.priority, jobs.c.created_at, jobs.c.id)
    .limit(sa.bindparam("most"))
)
_PLACE = sa.tuple_(jobs.c.priority, jobs.c.created_at, jobs.c.id)

# The statistics know nothing yet of a backlog that has just come. So whatever is given is first
# looked up by id alone, and sorted out afterwards: a plan that begins with all that waits, because
# it takes that for little, would compare each of it with each of these.
_IDS = sa.bindparam("ids", type_=ARRAY(jobs.c.id.type))
_GIVEN = (
    sa.func.unnest(_IDS, sa.bindparam("fences", type_=ARRAY(sa.Integer)))
    .table_valued(sa.column("id", jobs.c.id.type), sa.column("fence", sa.Integer), name="given")
    .render_derived()
)
_FOUND = sa.select(jobs.c.id, jobs.c.fence, jobs.c.status, jobs.c.deliver_at).where(
    jobs.c.id == sa.any_(_IDS)
)


def _as_given(found: sa.CTE) -> tuple[sa.ColumnElement[bool], ...]:
    """Keep of *found* what still waits as it was given."""
    return (
        found.c.id == _GIVEN.c.id,
        found.c.fence == _GIVEN.c.fence,
        found.c.status.in_(sorted(WAITING)),
    )


_SEEN = _FOUND.cte("seen").prefix_with("MATERIALIZED")
_STILL_OUT = sa.select(_SEEN.c.id).where(*_as_given(_SEEN), _SEEN.c.deliver_at.is_(None))

# What somebody else has locked is about to be claimed or cancelled; waiting for it would only
# invite a deadlock between two statements that lock the same jobs in different order.
_FREE = _FOUND.with_for_update(skip_locked=True).cte("free")
_DUE_YET = (
    sa.select(_FREE.c.id, _FREE.c.fence, _FREE.c.status)
    .where(*_as_given(_FREE), _FREE.c.deliver_at.is_not(None))
    .cte("due_yet")
)


def _unchanged(statuses: frozenset[Status]) -> tuple[sa.ColumnElement[bool], ...]:
    """True only while the job is as it was read, and was in one of *statuses*."""
    return (
        jobs.c.id == _DUE_YET.c.id,
        jobs.c.fence == _DUE_YET.c.fence,
        jobs.c.status == _DUE_YET.c.status,
        _DUE_YET.c.status.in_(sorted(statuses)),
    )


_ENQUEUED = (
    sa.update(jobs)
    .where(*_unchanged(MOVES[Move.ENQUEUE].sources))
    .values(
        status=MOVES[Move.ENQUEUE].target,
        queued_at=NOW,
        deliver_at=None,
        last_seq=jobs.c.last_seq + 1,
    )
    .returning(*jobs.c)
    .cte("enqueued")
)
# It waits for a worker from now on, no longer for its time; its status does not change.
_DELIVERED = (
    sa.update(jobs)
    .where(*_unchanged(frozenset({Status.QUEUED})))
    .values(queued_at=NOW, deliver_at=None)
    .returning(jobs.c.id)
    .cte("delivered")
)
_MARK = (
    sa.select(sa.func.count())
    .select_from(_DELIVERED)
    .add_cte(state_event(_ENQUEUED, name=sa.literal(str(Move.ENQUEUE))))
)


async def take_turn(connection: AsyncConnection, turn: Turn) -> bool:
    """Be the only one until the transaction of *connection* ends; False when somebody else is.

    Whatever becomes of the process, its turn ends with its connection.
    """
    lock = sa.select(sa.func.pg_try_advisory_xact_lock(sa.cast(int(turn), sa.BigInteger)))
    return (await connection.execute(lock)).scalar_one()


async def seconds_until_due(connection: AsyncConnection) -> float | None:
    """Return in how many seconds the next delivery is due, at most 0 for one that is already.

    `None` when every waiting job has a delivery out.
    """
    return (await connection.execute(_UNTIL_NEXT)).scalar_one()


async def list_due(connection: AsyncConnection, *, most: int) -> list[Waiting]:
    """Return jobs that are to be delivered by now, the longest due first."""
    return [Waiting(*row) for row in await connection.execute(_DUE, {"most": most})]


async def mark_delivered(connection: AsyncConnection, waiting: Collection[Job | Waiting]) -> None:
    """Say that deliveries of these are out; nothing changes for one that was claimed meanwhile."""
    await connection.execute(_MARK, {**_arrays(waiting), "facts": {}})


async def queues_with_deliveries(connection: AsyncConnection, queues: Sequence[str]) -> list[str]:
    """Return those of *queues* in which some delivery should be waiting."""
    columns = [
        sa.exists().where(jobs.c.queue == queue, _IS_OUT).label(f"has_{number}")
        for number, queue in enumerate(queues)
    ]
    has = (await connection.execute(sa.select(*columns))).one()
    return [queue for queue, is_there in zip(queues, has, strict=True) if is_there]


async def list_delivered(
    connection: AsyncConnection,
    queue: str,
    *,
    most: int,
    behind: Place | None = None,
    before: tuple[int, datetime] | None = None,
) -> list[Waiting]:
    """Return jobs of which a delivery is out, in the order in which they are delivered.

    Only those behind the place *behind*, and before the priority and moment *before*.
    """
    query = _IN_QUEUE
    if behind is not None:
        query = query.where(_PLACE > sa.tuple_(*map(_literal, behind)))
    if before is not None:
        place = sa.tuple_(jobs.c.priority, jobs.c.created_at)
        query = query.where(place < sa.tuple_(*map(_literal, before)))
    rows = await connection.execute(query, {"queue_name": queue, "most": most})
    return [Waiting(*row) for row in rows]


async def still_delivered(
    connection: AsyncConnection, waiting: Collection[Waiting]
) -> list[Waiting]:
    """Return those of which a delivery is still out: not claimed, cancelled or retried since."""
    if not waiting:
        return []
    found = set((await connection.execute(_STILL_OUT, _arrays(waiting))).scalars())
    return [each for each in waiting if each.id in found]


def _literal(value: object) -> sa.ColumnElement[Any]:
    return sa.literal(value)


def _arrays(waiting: Collection[Job | Waiting]) -> dict[str, Any]:
    return {"ids": [each.id for each in waiting], "fences": [each.fence for each in waiting]}
