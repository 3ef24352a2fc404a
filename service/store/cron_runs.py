"""The ledger of job functions that run by the clock: one row for each function and slot.

A slot is the moment at which a function is due. The primary key gives each slot one winner, and
the store's clock alone says which slot it is time for: a worker whose clock is wrong can neither
double a run nor lose one.

        take            claim             finish
    ─────────▶ waiting ───────▶ running ─────────▶ done, failed
                  │  ◀─ release ── │
                  │  ◀─ rescue ─── │
                  └──── skipped: a later slot was taken first
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.moves import NOW, seconds
from service.store.records import Holder
from service.store.tables import cron_runs
from service.store.workers import has_lease


class RunStatus(StrEnum):
    """Where a cron run is."""

    WAITING = "waiting"
    """Its slot is taken; no worker has begun it yet, or one handed it back."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It still waited when a later slot of its function was taken."""


@dataclass(frozen=True, slots=True)
class CronRun:
    """One run of one function. `outcome` is what it says it did, `error` why it failed."""

    name: str
    slot: datetime
    status: RunStatus
    attempt: int
    worker: str | None
    worker_id: UUID | None
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    outcome: Mapping[str, Any] | None
    error: str | None

    @classmethod
    def of(cls, row: sa.Row[Any]) -> Self:
        """Read a run from a row that has all its columns."""
        values = {field.name: getattr(row, field.name) for field in fields(cls)}
        values["status"] = RunStatus(row.status)
        return cls(**values)


def _seconds(name: str) -> sa.ColumnElement[Any]:
    return seconds(sa.bindparam(name, type_=sa.Double))


_SLOT = sa.bindparam("run_slot", type_=cron_runs.c.slot.type)
_NAME = sa.bindparam("run_name", type_=sa.Text)
_LATER = cron_runs.alias("later")
_TAKEN = (
    insert(cron_runs)
    .from_select(
        ["name", "slot", "status"],
        sa.select(_NAME, _SLOT, sa.literal(str(RunStatus.WAITING))).where(
            NOW >= _SLOT,
            # Somebody who slept over the slot must not take it when the next one is due.
            NOW < sa.bindparam("following", type_=cron_runs.c.slot.type),
            ~sa.exists().where(_LATER.c.name == _NAME, _LATER.c.slot > _SLOT),
        ),
    )
    .on_conflict_do_nothing()
    .returning(*cron_runs.c)
    .cte("taken")
)
_SKIPPED = (
    sa.update(cron_runs)
    .where(
        cron_runs.c.name == _TAKEN.c.name,
        cron_runs.c.slot < _TAKEN.c.slot,
        cron_runs.c.status == RunStatus.WAITING,
    )
    .values(status=RunStatus.SKIPPED, finished_at=NOW)
    .cte("skipped")
)
_TAKE = sa.select(_TAKEN).add_cte(_SKIPPED)

_BY_SLOT = (cron_runs.c.name == _NAME, cron_runs.c.slot == _SLOT)
_HELD = (
    *_BY_SLOT,
    cron_runs.c.status == RunStatus.RUNNING,
    cron_runs.c.worker_id == sa.bindparam("held_by", type_=cron_runs.c.worker_id.type),
    cron_runs.c.attempt == sa.bindparam("held_attempt"),
)
_CLAIM = (
    sa.update(cron_runs)
    .where(*_BY_SLOT, cron_runs.c.status == RunStatus.WAITING)
    .values(
        status=RunStatus.RUNNING,
        attempt=cron_runs.c.attempt + 1,
        worker=sa.bindparam("holder_name"),
        worker_id=sa.bindparam("holder_id", type_=cron_runs.c.worker_id.type),
        started_at=NOW,
        error=None,
    )
    .returning(*cron_runs.c)
)
_FINISH = (
    sa.update(cron_runs)
    .where(*_HELD)
    .values(
        status=sa.bindparam("new_status", type_=sa.Text),
        outcome=sa.bindparam("new_outcome", type_=JSONB(none_as_null=True)),
        error=sa.bindparam("new_error", type_=sa.Text),
        finished_at=NOW,
    )
    .returning(*cron_runs.c)
)
_RELEASE = (
    sa.update(cron_runs)
    .where(*_HELD)
    .values(
        status=RunStatus.WAITING,
        attempt=cron_runs.c.attempt
        - sa.case((sa.bindparam("is_charged", type_=sa.Boolean), 0), else_=1),
        queued_at=NOW,
    )
    .returning(*cron_runs.c)
)

# A later slot does the same work; a run that lost several workers would lose the next one too.
_IS_SUPERSEDED = sa.exists().where(
    _LATER.c.name == cron_runs.c.name, _LATER.c.slot > cron_runs.c.slot
)
_IS_OVER = sa.or_(_IS_SUPERSEDED, cron_runs.c.attempt >= sa.bindparam("max_attempts"))
_RESCUE = (
    sa.update(cron_runs)
    .where(
        cron_runs.c.status == RunStatus.RUNNING,
        sa.or_(
            ~has_lease(cron_runs.c.worker_id),
            # Its worker lives and has given it up: the answer to its claim was lost, say.
            cron_runs.c.started_at < NOW - _seconds("limit_seconds"),
        ),
    )
    .values(
        status=sa.case((_IS_OVER, RunStatus.FAILED), else_=RunStatus.WAITING),
        finished_at=sa.case((_IS_OVER, NOW)),
        queued_at=NOW,
        error="Its worker was lost",
    )
    .returning(*cron_runs.c)
)
_OVERDUE = (
    sa.select(cron_runs)
    .where(
        cron_runs.c.status == RunStatus.WAITING,
        cron_runs.c.queued_at < NOW - _seconds("older_than_seconds"),
    )
    .order_by(cron_runs.c.slot, cron_runs.c.name)
)
_RUN = sa.select(cron_runs).where(*_BY_SLOT)
_LATEST = (
    sa.select(cron_runs)
    .ext(distinct_on(cron_runs.c.name))
    .order_by(cron_runs.c.name, cron_runs.c.slot.desc())
)


async def read_clock(connection: AsyncConnection) -> datetime:
    """Return what time it is for the store, and so for everybody."""
    return (await connection.execute(sa.select(NOW))).scalar_one()


async def take(
    connection: AsyncConnection, name: str, slot: datetime, *, following: datetime
) -> CronRun | None:
    """Take a slot; one caller wins, from its moment on until that of the *following* one.

    Earlier runs of the function that still wait are skipped: one is enough to catch up.
    """
    return await _one(connection, _TAKE, run_name=name, run_slot=slot, following=following)


async def claim(
    connection: AsyncConnection, name: str, slot: datetime, holder: Holder
) -> CronRun | None:
    """Begin a run that waits; one caller wins."""
    return await _one(
        connection,
        _CLAIM,
        run_name=name,
        run_slot=slot,
        holder_name=holder.name,
        holder_id=holder.id,
    )


async def find(connection: AsyncConnection, name: str, slot: datetime) -> CronRun | None:
    """Return the run as it is now. `None`: the slot was never taken, or is forgotten."""
    return await _one(connection, _RUN, run_name=name, run_slot=slot)


async def finish(
    connection: AsyncConnection,
    run: CronRun,
    *,
    outcome: Mapping[str, Any] | None = None,
    error: str | None = None,
) -> CronRun | None:
    """End *run*, in failure when there is an *error*. `None` when it is somebody else's by now."""
    return await _one(
        connection,
        _FINISH,
        **_of(run),
        new_status=RunStatus.DONE if error is None else RunStatus.FAILED,
        new_outcome=outcome,
        new_error=error,
    )


async def release(connection: AsyncConnection, run: CronRun, *, is_charged: bool) -> CronRun | None:
    """Let *run* wait again. `None` when it is somebody else's by now.

    Unless *is_charged*, the attempt does not count.
    """
    return await _one(connection, _RELEASE, **_of(run), is_charged=is_charged)


async def rescue_lost(
    connection: AsyncConnection,
    *,
    lease_seconds: float,
    limit_seconds: float,
    max_attempts: int,
    trusts_leases: bool,
) -> list[CronRun]:
    """Take runs from workers that lost their lease, or that began them *limit_seconds* ago.

    They wait again; those that were begun *max_attempts* times, or that a later run of their
    function has followed, fail.
    """
    rows = await connection.execute(
        _RESCUE,
        {
            "lease_seconds": lease_seconds,
            "limit_seconds": limit_seconds,
            "max_attempts": max_attempts,
            "trusts_leases": trusts_leases,
        },
    )
    return [CronRun.of(row) for row in rows]


async def list_overdue(connection: AsyncConnection, *, older_than_seconds: float) -> list[CronRun]:
    """Return runs that have waited so long that their delivery may be lost, oldest first."""
    rows = await connection.execute(_OVERDUE, {"older_than_seconds": older_than_seconds})
    return [CronRun.of(row) for row in rows]


async def latest(connection: AsyncConnection) -> dict[str, CronRun]:
    """Return the latest run of each function that ever ran."""
    return {row.name: CronRun.of(row) for row in await connection.execute(_LATEST)}


async def forget(connection: AsyncConnection, *, older_than_hours: float) -> int:
    """Delete runs that ended so long ago, but never a function's latest; return how many."""
    done = await connection.execute(
        sa.delete(cron_runs).where(
            cron_runs.c.finished_at < NOW - seconds(sa.literal(older_than_hours * 3600, sa.Double)),
            sa.exists().where(_LATER.c.name == cron_runs.c.name, _LATER.c.slot > cron_runs.c.slot),
        )
    )
    return done.rowcount


async def _one(
    connection: AsyncConnection,
    statement: sa.Executable,
    **values: Any,  # noqa: ANN401  # As many types as columns.
) -> CronRun | None:
    row = (await connection.execute(statement, values)).one_or_none()
    return None if row is None else CronRun.of(row)


def _of(run: CronRun) -> dict[str, Any]:
    return {
        "run_name": run.name,
        "run_slot": run.slot,
        "held_by": run.worker_id,
        "held_attempt": run.attempt,
    }
