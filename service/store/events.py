"""What happens to a job while it runs, as numbered facts: progress and log lines.

All events of a job, state changes among them, share one sequence. It is counted in the job's own
row by the statement that writes them, so that the order of numbers is the order of commits and
there are no holes. A batch of log lines is one row; each line keeps a number of its own.

While a job runs only its holder writes progress and lines, one batch after the other, and says
each time which number it knows as the last. So a batch whose answer got lost is recognised when it
is sent again, and stored once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeAlias
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.moves import held, in_status
from service.store.records import Job
from service.store.states import Status
from service.store.tables import job_events, jobs

Stream: TypeAlias = Literal["stdout", "stderr"]


class NewLine(Protocol):
    """A line a tool printed, without its end, at the moment it was read."""

    @property
    def stream(self) -> Stream:
        """Where it was printed."""
        ...

    @property
    def text(self) -> str:
        """Without NUL, which PostgreSQL's text cannot hold."""
        ...

    @property
    def at(self) -> datetime:
        """When it was read."""
        ...


@dataclass(frozen=True, slots=True)
class LogLine:
    """A stored line with its number in the job's sequence."""

    seq: int
    stream: Stream
    text: str
    at: datetime
    fence: int


@dataclass(frozen=True, slots=True)
class Event:
    """One row of events; a batch of log lines goes from `seq` to `last_seq`."""

    seq: int
    last_seq: int
    kind: Literal["status", "progress", "log"]
    fence: int
    at: datetime
    data: dict[str, Any]


_COUNT = sa.bindparam("count", type_=sa.Integer)
_AFTER = sa.bindparam("after", type_=sa.Integer)
_HELD = (*held(), in_status(frozenset({Status.RUNNING})))


def _append(kind: str, **values: Any) -> sa.Select[Any]:  # noqa: ANN401  # Columns of any type.
    """Number *count* events and write them as one row.

    No row unless the job is still held and *after* its last number. The latter stands in the job's
    row, and so counts even for a statement that waits for another one of the same batch.
    """
    numbered = (
        sa.update(jobs)
        .where(*_HELD, jobs.c.last_seq == _AFTER)
        .values(last_seq=jobs.c.last_seq + _COUNT, **values)
        .returning(jobs.c.id, jobs.c.fence, jobs.c.last_seq)
        .cte("numbered")
    )
    written = (
        sa.insert(job_events)
        .from_select(
            ["job_id", "seq", "last_seq", "kind", "fence", "data"],
            sa.select(
                numbered.c.id,
                numbered.c.last_seq - _COUNT + 1,
                numbered.c.last_seq,
                sa.literal(kind),
                numbered.c.fence,
                sa.bindparam("data", type_=JSONB),
            ),
        )
        .cte("written")
    )
    return sa.select(numbered.c.last_seq).add_cte(written)


_APPEND_LINES = _append("log")
_APPEND_PROGRESS = _append(
    "progress",
    progress=sa.bindparam("percent", type_=sa.Double),
    progress_message=sa.bindparam("note", type_=sa.Text),
)
_SINCE = sa.select(
    jobs.c.last_seq,
    sa.select(sa.func.max(job_events.c.last_seq))
    .where(
        job_events.c.job_id == jobs.c.id,
        job_events.c.seq > _AFTER,
        job_events.c.kind == sa.bindparam("kind", type_=sa.Text),
    )
    .scalar_subquery()
    .label("stored"),
).where(*_HELD)


async def append_lines(
    connection: AsyncConnection, job: Job, lines: Sequence[NewLine], *, after: int
) -> int | None:
    """Store *lines* as the next numbers of *job*, and return the last one.

    *after* is what the last call returned, of whatever kind, or the claim's number. When this
    batch is stored behind it already, nothing is written again. `None`: the job is no longer held,
    nothing was written.
    """
    first = lines[0].at
    data = {
        "at": first.isoformat(),
        "lines": [
            [line.stream, round((line.at - first).total_seconds() * 1000), line.text]
            for line in lines
        ],
    }
    return await _write(connection, "log", job, after, count=len(lines), data=data)


async def append_progress(
    connection: AsyncConnection,
    job: Job,
    *,
    percent: float | None,
    message: str | None,
    after: int,
) -> int | None:
    """Store how far *job* is, 0 to 100, and return the event's number.

    *after* and `None` as for `append_lines`.
    """
    return await _write(
        connection,
        "progress",
        job,
        after,
        count=1,
        percent=percent,
        note=message,
        data={"progress": percent, "message": message},
    )


async def _write(
    connection: AsyncConnection,
    kind: Literal["progress", "log"],
    job: Job,
    after: int,
    **values: Any,  # noqa: ANN401  # As many types as columns.
) -> int | None:
    held_job = {"job_id": job.id, "held_fence": job.fence}
    statement = _APPEND_LINES if kind == "log" else _APPEND_PROGRESS
    while True:
        done = await connection.execute(statement, {**held_job, **values, "after": after})
        number: int | None = done.scalar_one_or_none()
        if number is not None:
            return number
        asked = {**held_job, "after": after, "kind": kind}
        since = (await connection.execute(_SINCE, asked)).one_or_none()
        if since is None:
            return None
        if since.stored is not None:
            return since.stored  # By an earlier try, whose answer got lost.
        # Somebody's wish to cancel took the number, or progress whose sender gave it up.
        after = since.last_seq


async def read(
    connection: AsyncConnection, job_id: UUID, *, after: int = 0, most: int = 1000
) -> list[Event]:
    """Return the rows that hold numbers above *after*, in order; at most *most* of them."""
    rows = await connection.execute(
        sa.select(job_events)
        .where(job_events.c.job_id == job_id, job_events.c.last_seq > after)
        .order_by(job_events.c.seq)
        .limit(most)
    )
    return [Event(row.seq, row.last_seq, row.kind, row.fence, row.at, row.data) for row in rows]


async def read_lines(
    connection: AsyncConnection, job_id: UUID, *, after: int = 0, most: int = 1000
) -> list[LogLine]:
    """Return log lines with numbers above *after*, in order; at most *most* of them."""
    # A row holds many lines: no more rows are read than hold what is wanted.
    count = job_events.c.last_seq - sa.func.greatest(job_events.c.seq, after + 1) + 1
    rows = (
        sa.select(
            job_events.c.seq,
            job_events.c.fence,
            job_events.c.data,
            (sa.func.sum(count).over(order_by=job_events.c.seq) - count).label("before"),
        )
        .where(
            job_events.c.job_id == job_id,
            job_events.c.kind == "log",
            job_events.c.last_seq > after,
        )
        .order_by(job_events.c.seq)
        .limit(most)
        .subquery()
    )
    found = await connection.execute(
        sa.select(rows).where(rows.c.before < most).order_by(rows.c.seq)
    )
    lines = [line for row in found for line in _lines(row.seq, row.fence, row.data)]
    return [line for line in lines if line.seq > after][:most]


def _lines(seq: int, fence: int, data: dict[str, Any]) -> list[LogLine]:
    first = datetime.fromisoformat(data["at"])
    return [
        LogLine(seq + place, stream, text, first + timedelta(milliseconds=after), fence)
        for place, (stream, after, text) in enumerate(data["lines"])
    ]
