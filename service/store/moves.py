"""How a move becomes one statement: the guarded UPDATE, its event, and what it leaves behind."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.sql.elements import ColumnElement

from service.store.states import MOVES, WAITING, Move, Status
from service.store.tables import artifacts, job_events, jobs, results

NOW = sa.func.now()

Guard: TypeAlias = tuple[ColumnElement[bool], ...]


def seconds(count: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return *count* seconds as an interval."""
    return count * sa.text("interval '1 second'")


def in_status(statuses: frozenset[Status]) -> ColumnElement[bool]:
    """Say that the job is in one of *statuses*, in a fixed order so that the SQL never differs."""
    # Literals, one by one: a list of plain values would be written out anew at each execution.
    return jobs.c.status.in_([sa.literal(each) for each in sorted(statuses)])


def held(*more: ColumnElement[bool]) -> Guard:
    """True only while nobody has claimed the job since it was read."""
    return (jobs.c.id == sa.bindparam("job_id"), jobs.c.fence == sa.bindparam("held_fence"), *more)


def move(
    name: Move,
    guard: Guard,
    values: Mapping[str, Any] | None = None,
    *,
    leaves_result: bool = False,
    leaves_artifacts: bool = False,
) -> sa.Select[Any]:
    """Return the statement of the move *name*: no row where *guard* does not hold.

    Its parameters are those of the guard and the values, and `facts`, a JSON object merged into
    the event. With *leaves_result* it also needs the columns of a result, with *leaves_artifacts*
    `artifacts`, a JSON array of rows.
    """
    sources, target = MOVES[name]
    moved = (
        sa.update(jobs)
        .where(*guard, in_status(sources))
        .values(status=target, last_seq=jobs.c.last_seq + 1, **_implied(target), **(values or {}))
        .returning(*jobs.c)
        .cte("moved")
    )
    statement = sa.select(moved).add_cte(state_event(moved, name=sa.literal(str(name))))
    if leaves_result:
        statement = statement.add_cte(_result(moved))
    if leaves_artifacts:
        statement = statement.add_cte(_artifacts(moved))
    return statement


def state_event(
    moved: sa.CTE,
    *,
    name: ColumnElement[str],
    facts: ColumnElement[Any] | None = None,
) -> sa.CTE:
    """Insert the event of every row that *moved*, numbered by that row itself."""
    told = sa.func.jsonb_strip_nulls(
        sa.func.jsonb_build_object(
            *("move", name),
            *("status", moved.c.status),
            *("reason", moved.c.reason),
            *("message", moved.c.message),
            *("attempt", moved.c.attempt),
            *("worker", moved.c.worker),
            *("next_attempt_at", moved.c.next_attempt_at),
            type_=JSONB,
        ),
        type_=JSONB,
    )
    more = sa.bindparam("facts", type_=JSONB) if facts is None else facts
    return (
        sa.insert(job_events)
        .from_select(
            ["job_id", "seq", "last_seq", "kind", "fence", "data"],
            sa.select(
                moved.c.id,
                moved.c.last_seq,
                moved.c.last_seq,
                sa.literal("status"),
                moved.c.fence,
                told.op("||")(more),
            ),
        )
        .cte("logged")
    )


def _implied(target: Status) -> dict[str, Any]:
    """What a status means for the other columns, whichever move led there."""
    implied: dict[str, Any] = {}
    if target is not Status.RUNNING:
        implied |= {"worker": None, "worker_id": None}
    if target not in WAITING:
        implied |= {"next_attempt_at": None, "deliver_at": None}
    if target.is_final:
        implied |= {"completed_at": NOW}
    if target is Status.QUEUED:
        implied |= {"queued_at": NOW}
    return implied


_RESULT_COLUMNS = ("output", "output_bytes", "error", "error_bytes", "left_out_lines")


def _result(moved: sa.CTE) -> sa.CTE:
    """Keep the result of this attempt in place of an earlier one's."""
    given = [sa.bindparam(name, type_=results.c[name].type) for name in _RESULT_COLUMNS]
    kept = insert(results).from_select(
        ["job_id", "fence", *_RESULT_COLUMNS], sa.select(moved.c.id, moved.c.fence, *given)
    )
    return kept.on_conflict_do_update(
        index_elements=["job_id"],
        set_={name: kept.excluded[name] for name in ("fence", *_RESULT_COLUMNS)},
    ).cte("kept")


def _artifacts(moved: sa.CTE) -> sa.CTE:
    """List what the attempt left."""
    rows = (
        sa.func.jsonb_to_recordset(sa.bindparam("artifacts", type_=JSONB))
        .table_valued(
            sa.column("id", artifacts.c.id.type),
            sa.column("name", sa.Text),
            sa.column("media_type", sa.Text),
            sa.column("size", sa.BigInteger),
            sa.column("sha256", sa.Text),
            sa.column("location", sa.Text),
            name="left_behind",
        )
        .render_derived(with_types=True)
    )
    columns = ["id", "name", "media_type", "size", "sha256", "location"]
    return (
        sa.insert(artifacts)
        .from_select(
            ["job_id", "fence", *columns],
            sa.select(moved.c.id, moved.c.fence, *(rows.c[name] for name in columns)).select_from(
                moved.join(rows, sa.true())
            ),
        )
        .cte("listed")
    )
