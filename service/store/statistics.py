"""What each tool has done so far, computed in one statement.

Counts, least, mean and greatest duration, and the last moments are over every job there ever was:
a job that is cleaned up adds what it was to `past_statistics` in the statement that deletes it, so
nothing is counted twice, left out, or falls. Percentiles cannot be added up; they are over the jobs
that are still kept.

A duration counts when the job's tool came to an end of its own, well or badly; a wait, when the
job started at its first claim and was not put off: from when it was accepted until then.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.moves import NOW
from service.store.states import FINAL, Status
from service.store.tables import job_events, jobs, past_statistics, tool_statistics


@dataclass(frozen=True, slots=True)
class ToolStatistics:
    """One tool's row. `runs` are all jobs that ended: successes, failures and cancels."""

    tool_name: str
    runs: int
    successes: int
    failures: int
    cancels: int
    duration_min_seconds: float | None
    duration_mean_seconds: float | None
    duration_p50_seconds: float | None
    duration_p95_seconds: float | None
    duration_max_seconds: float | None
    wait_p50_seconds: float | None
    wait_p95_seconds: float | None
    last_run_at: datetime | None
    last_success_at: datetime | None
    last_failure_at: datetime | None
    updated_at: datetime

    @classmethod
    def of(cls, row: sa.Row[Any]) -> Self:
        """Read a tool's row."""
        return cls(**{field.name: getattr(row, field.name) for field in fields(cls)})


def _totals(ended: sa.FromClause) -> tuple[sa.ColumnElement[Any], ...]:
    """Say what jobs that have *ended* add to the statistics of their tool."""
    status, at, duration = ended.c.status, ended.c.completed_at, ended.c.duration_seconds
    has_run = status != Status.CANCELLED
    return (
        sa.func.count().filter(status == Status.COMPLETED).label("successes"),
        sa.func.count().filter(status == Status.FAILED).label("failures"),
        sa.func.count().filter(status == Status.CANCELLED).label("cancels"),
        sa.func.count(duration).filter(has_run).label("durations"),
        sa.func.coalesce(sa.func.sum(duration).filter(has_run), 0.0).label("duration_sum_seconds"),
        sa.func.min(duration).filter(has_run).label("duration_min_seconds"),
        sa.func.max(duration).filter(has_run).label("duration_max_seconds"),
        sa.func.max(at).label("last_run_at"),
        sa.func.max(at).filter(status == Status.COMPLETED).label("last_success_at"),
        sa.func.max(at).filter(status == Status.FAILED).label("last_failure_at"),
    )


_SUMS = ("successes", "failures", "cancels", "durations", "duration_sum_seconds")
_LEASTS = ("duration_min_seconds",)


def _merge(
    name: str, left: sa.ColumnElement[Any], right: sa.ColumnElement[Any]
) -> sa.ColumnElement[Any]:
    """Put what two sets of jobs say of one column together; either may know nothing."""
    if name in _SUMS:
        return sa.func.coalesce(left, 0) + sa.func.coalesce(right, 0)
    # Both pass over NULL.
    return sa.func.least(left, right) if name in _LEASTS else sa.func.greatest(left, right)


_TOTALS = tuple(each.name for each in past_statistics.c if each.name != "tool_name")


def remember(gone: sa.CTE) -> sa.CTE:
    """Add the jobs that are *gone* to what is remembered of their tools, tools in one order."""
    told = insert(past_statistics).from_select(
        ["tool_name", *_TOTALS],
        sa.select(gone.c.tool_name, *_totals(gone))
        .group_by(gone.c.tool_name)
        .order_by(gone.c.tool_name),
    )
    return told.on_conflict_do_update(
        index_elements=["tool_name"],
        set_={name: _merge(name, past_statistics.c[name], told.excluded[name]) for name in _TOTALS},
    ).cte("remembered")


def _percentile(
    fraction: float, of: sa.ColumnElement[Any], where: sa.ColumnElement[bool]
) -> sa.ColumnElement[Any]:
    return sa.func.percentile_cont(fraction).within_group(of.asc()).filter(where)


_HAS_RUN = jobs.c.status != Status.CANCELLED
_CREATED = job_events.alias("created")
_IS_AT_ONCE = sa.and_(jobs.c.fence == 1, ~_CREATED.c.data.has_key("next_attempt_at"))
_WAIT = sa.extract("epoch", jobs.c.started_at - jobs.c.created_at)
_PERCENTILES = {
    "duration_p50_seconds": _percentile(0.5, jobs.c.duration_seconds, _HAS_RUN),
    "duration_p95_seconds": _percentile(0.95, jobs.c.duration_seconds, _HAS_RUN),
    "wait_p50_seconds": _percentile(0.5, _WAIT, _IS_AT_ONCE),
    "wait_p95_seconds": _percentile(0.95, _WAIT, _IS_AT_ONCE),
}
_KEPT = (
    sa.select(
        jobs.c.tool_name,
        *_totals(jobs),
        *(value.label(name) for name, value in _PERCENTILES.items()),
    )
    .select_from(
        jobs.outerjoin(_CREATED, sa.and_(_CREATED.c.job_id == jobs.c.id, _CREATED.c.seq == 1))
    )
    .where(jobs.c.status.in_(sorted(FINAL)))
    .group_by(jobs.c.tool_name)
    .cte("kept")
)
_ALL = (
    sa.select(
        sa.func.coalesce(_KEPT.c.tool_name, past_statistics.c.tool_name).label("tool_name"),
        *(_merge(name, _KEPT.c[name], past_statistics.c[name]).label(name) for name in _TOTALS),
        *(_KEPT.c[name] for name in _PERCENTILES),
    )
    .select_from(
        _KEPT.outerjoin(
            past_statistics, past_statistics.c.tool_name == _KEPT.c.tool_name, full=True
        )
    )
    .cte("ever")
)
_VALUES = {
    "tool_name": _ALL.c.tool_name,
    "runs": _ALL.c.successes + _ALL.c.failures + _ALL.c.cancels,
    "duration_mean_seconds": _ALL.c.duration_sum_seconds / sa.func.nullif(_ALL.c.durations, 0),
    **{
        name: _ALL.c[name]
        for name in (*_TOTALS, *_PERCENTILES)
        if name not in {"durations", "duration_sum_seconds"}
    },
    "updated_at": NOW,
}
_INSERTED = insert(tool_statistics).from_select(
    list(_VALUES), sa.select(*_VALUES.values()).order_by(_ALL.c.tool_name)
)
_UPDATE = _INSERTED.on_conflict_do_update(
    index_elements=["tool_name"],
    set_={name: _INSERTED.excluded[name] for name in _VALUES if name != "tool_name"},
)


async def update(connection: AsyncConnection) -> int:
    """Compute every tool's statistics anew; return how many tools there are."""
    return (await connection.execute(_UPDATE)).rowcount


async def list_all(connection: AsyncConnection) -> list[ToolStatistics]:
    """Return the statistics as they were last computed, by tool."""
    rows = await connection.execute(
        sa.select(tool_statistics).order_by(tool_statistics.c.tool_name)
    )
    return [ToolStatistics.of(row) for row in rows]
