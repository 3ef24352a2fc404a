"""Claiming without a delivery: while there is no broker, the rows themselves say what is next."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.jobs import CLAIMED, IS_DUE, IS_WANTED
from service.store.moves import NOW, move
from service.store.prepared import Prepared
from service.store.records import Holder, Job
from service.store.states import Move
from service.store.tables import jobs, workers

_IS_FREE = (
    # In words of its own, so that the index of exactly these is seen to fit.
    sa.text("jobs.status IN ('pending', 'queued')"),
    IS_WANTED,
    IS_DUE,
    jobs.c.id != sa.all_(sa.bindparam("besides", type_=ARRAY(jobs.c.id.type))),
)
_IN_ORDER = (jobs.c.priority, jobs.c.created_at, jobs.c.id)
_QUEUES = (
    sa.func.unnest(sa.bindparam("queues", type_=ARRAY(sa.Text)))
    .table_valued(sa.column("name", sa.Text), name="asked_for")
    .render_derived()
)
_HEAD = (
    sa.select(*_IN_ORDER)
    .where(jobs.c.queue == _QUEUES.c.name, *_IS_FREE)
    .order_by(*_IN_ORDER)
    .limit(1)
    .lateral("head")
)
# The heads first, one row a queue, because only within a queue does an index know the order.
_FIRST_QUEUE = (
    sa.select(_QUEUES.c.name)
    .select_from(_QUEUES.join(_HEAD, sa.true()))
    .order_by(*_HEAD.c)
    .limit(1)
    .scalar_subquery()
)
# Nobody delivered these jobs, so nothing but its lease says that the claimer may have them.
_HOLDER_HAS_LEASE = sa.exists().where(
    workers.c.id == sa.bindparam("holder_id", type_=jobs.c.worker_id.type),
    workers.c.lease_until > NOW,
)
_NEXT = (
    sa.select(jobs.c.id)
    .where(jobs.c.queue == _FIRST_QUEUE, *_IS_FREE, _HOLDER_HAS_LEASE)
    .order_by(*_IN_ORDER)
    .limit(1)
    .with_for_update(skip_locked=True)
    .cte("next")
    # Read once: a plan may run a sub-select once for each row, and each run would lock another.
    .prefix_with("MATERIALIZED")
)
# Again, outside: what was read may have changed.
_CLAIM_NEXT = Prepared(move(Move.CLAIM, (jobs.c.id == _NEXT.c.id, IS_WANTED, IS_DUE), CLAIMED))


async def claim_next(
    connection: AsyncConnection,
    holder: Holder,
    queues: Collection[str],
    *,
    besides: Collection[UUID] = (),
) -> Job | None:
    """Take the first waiting job of *queues* that is due, by priority, then by arrival.

    Any number may do so at once; none waits for another. `None` when there is no such job but
    those *besides*, or when the holder's own lease has run out.
    """
    given: dict[str, Any] = {
        "queues": list(queues),
        "besides": list(besides),
        "holder_name": holder.name,
        "holder_id": holder.id,
        "facts": {},
    }
    found = await _CLAIM_NEXT.fetch(connection, [given])
    return Job.of_columns(found[0]) if found else None
