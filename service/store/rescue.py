"""The move of jobs whose worker was lost: they wait again, or end when they may not."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.jobs import IS_WANTED
from service.store.moves import NOW, in_status, state_event
from service.store.records import Job
from service.store.states import MOVES, Move, Reason, Status
from service.store.tables import jobs
from service.store.workers import has_lease

_HAS_LEASE = has_lease(jobs.c.worker_id)
_IS_LOST = (in_status(frozenset({Status.RUNNING})), ~_HAS_LEASE)
_LOST = (
    sa.select(jobs.c.id, jobs.c.worker)
    .where(*_IS_LOST)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("lost")
    # Read once: a plan may run a sub-select once for each row, and each run would lock others.
    .prefix_with("MATERIALIZED")
)
_LOSSES = jobs.c.losses + 1
_IS_POISON = _LOSSES >= sa.bindparam("max_losses")


def _by_fate(*, cancelled: Any, poison: Any, rescued: Any) -> sa.Case[Any]:  # noqa: ANN401
    """Choose by what becomes of a lost job; *Any* is whatever the column holds."""
    return sa.case((~IS_WANTED, cancelled), (_IS_POISON, poison), else_=rescued)


_RESCUED = (
    sa.update(jobs)
    .where(jobs.c.id == _LOST.c.id, *_IS_LOST)  # Again, outside: what was read may have changed.
    .values(
        status=_by_fate(
            cancelled=MOVES[Move.ABANDON].target,
            poison=MOVES[Move.POISON].target,
            rescued=MOVES[Move.RESCUE].target,
        ),
        reason=_by_fate(
            cancelled=Reason.CANCELLED, poison=Reason.WORKER_LOST, rescued=Reason.WORKER_LOST
        ),
        message=_by_fate(
            cancelled="Cancelled; its worker was lost",
            poison="Poison: it lost as many workers as a job may",
            rescued="Its worker was lost",
        ),
        completed_at=_by_fate(cancelled=NOW, poison=NOW, rescued=sa.null()),
        queued_at=_by_fate(cancelled=jobs.c.queued_at, poison=jobs.c.queued_at, rescued=NOW),
        deliver_at=_by_fate(cancelled=sa.null(), poison=sa.null(), rescued=NOW),
        attempt=jobs.c.attempt - 1,
        losses=_LOSSES,
        worker=None,
        worker_id=None,
        last_seq=jobs.c.last_seq + 1,
    )
    .returning(*jobs.c, _LOST.c.worker.label("lost_worker"))
    .cte("rescued")
)
_RESCUE = sa.select(_RESCUED).add_cte(
    state_event(
        _RESCUED,
        name=sa.case(
            (_RESCUED.c.status == Status.QUEUED, str(Move.RESCUE)),
            (_RESCUED.c.status == Status.FAILED, str(Move.POISON)),
            else_=str(Move.ABANDON),
        ),
        facts=sa.func.jsonb_build_object("worker", _RESCUED.c.lost_worker, type_=JSONB),
    )
)


async def rescue_lost(
    connection: AsyncConnection,
    *,
    lease_seconds: float,
    max_losses: int,
    trusts_leases: bool = True,
    most: int = 100,
) -> list[Job]:
    """Take up to *most* jobs from workers that lost their lease; any number may do so at once.

    Without *trusts_leases* a lease that ran out proves nothing, only a worker's missing row does.
    A job is queued again, or fails when this was its *max_losses*-th worker, or is cancelled when
    that was wanted. Its attempt does not count; the loss does.
    """
    rows = await connection.execute(
        _RESCUE,
        {
            "lease_seconds": lease_seconds,
            "max_losses": max_losses,
            "trusts_leases": trusts_leases,
            "most": most,
        },
    )
    return [Job.of(row) for row in rows]
