"""Each legal move of a job, one function each. Nothing else writes a status.

A move is one statement: the guarded UPDATE of the job's row and the INSERT of its event. It
returns the job as it is then, or `None` when the guard did not hold: somebody else owns the job
now, and the caller stops. Two clients of one row wait for each other in PostgreSQL, and the second
sees the first one's change when its guard is checked (READ COMMITTED).

Where a move has a form for many jobs, that is the same statement for each of them, sent in one
trip: each row has its own guard, and a job whose guard did not hold is missing in the answer.

No function here commits; whoever opened the connection does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from operator import itemgetter
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.ids import new_id
from service.store.moves import NOW, held, in_status, move, seconds, state_event
from service.store.prepared import Prepared
from service.store.records import Ending, Holder, Job, NewArtifact, NewJob
from service.store.states import Move, Reason, Status
from service.store.tables import jobs

IS_WANTED = jobs.c.cancel_requested_at.is_(None)
IS_DUE = sa.func.coalesce(jobs.c.next_attempt_at, sa.text("'-infinity'::timestamptz")) <= NOW
_NO_FACTS: Mapping[str, Any] = {"facts": {}}

DELIVERY_GRACE_SECONDS = 2.0
"""How long whoever creates a job may take to deliver it before the dispatcher does."""
_BY_ID = (jobs.c.id == sa.bindparam("job_id"),)

_ENDED: Mapping[str, Any] = {
    name: sa.bindparam(f"new_{name}", type_=jobs.c[name].type)
    for name in ("reason", "message", "return_code", "duration_seconds")
}

_RETRY_AT = NOW + seconds(sa.bindparam("delay_seconds", type_=sa.Double))

_GIVEN = [each.name for each in fields(NewJob) if each.name in jobs.c]
_STARTS_AT = sa.func.coalesce(
    sa.bindparam("run_at", type_=jobs.c.next_attempt_at.type),
    NOW + seconds(sa.bindparam("delay_seconds", type_=sa.Double)),
)
_DEFERRED_TO = sa.case((_STARTS_AT > NOW, _STARTS_AT))
_CREATE = (
    sa.insert(jobs)
    .values(
        id=sa.bindparam("job_id"),
        status=Status.PENDING,
        last_seq=1,
        next_attempt_at=_DEFERRED_TO,
        deliver_at=sa.func.coalesce(
            _DEFERRED_TO, NOW + seconds(sa.bindparam("grace_seconds", type_=sa.Double))
        ),
        **{name: sa.bindparam(name) for name in _GIVEN},
    )
    .returning(*jobs.c)
    .cte("created")
)
_CREATE_LOGGED = Prepared(
    sa.select(_CREATE).add_cte(state_event(_CREATE, name=sa.literal("create")))
)

# A deferred job has its place in the schedule; for any other the delivery is out.
_ENQUEUE = Prepared(
    move(
        Move.ENQUEUE,
        _BY_ID,
        {"deliver_at": sa.case((jobs.c.next_attempt_at > NOW, jobs.c.next_attempt_at))},
    )
)
# What a claim changes, whoever chose the job.
CLAIMED: Mapping[str, Any] = {
    "fence": jobs.c.fence + 1,
    "attempt": jobs.c.attempt + 1,
    "worker": sa.bindparam("holder_name"),
    "worker_id": sa.bindparam("holder_id", type_=jobs.c.worker_id.type),
    "queued_at": sa.func.coalesce(jobs.c.queued_at, NOW),
    "started_at": NOW,
    "progress": None,
    "progress_message": None,
    "reason": None,
    "message": None,
    "return_code": None,
    "duration_seconds": None,
}
_CLAIM = Prepared(move(Move.CLAIM, (*_BY_ID, IS_WANTED, IS_DUE), CLAIMED))

# Of a cancel and an end, the one that commits first wins: an end finds no row once a cancel was
# promised, and its owner reads the row again and stops the job.
_ENDS = {
    Move.COMPLETE: Prepared(
        move(Move.COMPLETE, held(IS_WANTED), _ENDED, leaves_result=True, leaves_artifacts=True)
    ),
    Move.FAIL: Prepared(
        move(Move.FAIL, held(IS_WANTED), _ENDED, leaves_result=True, leaves_artifacts=True)
    ),
    Move.STOP: Prepared(move(Move.STOP, held(), _ENDED, leaves_result=True, leaves_artifacts=True)),
    Move.RETRY: Prepared(
        move(
            Move.RETRY,
            held(IS_WANTED),
            {**_ENDED, "next_attempt_at": _RETRY_AT, "deliver_at": _RETRY_AT},
            leaves_result=True,
        )
    ),
}
_RELEASE = Prepared(
    move(
        Move.RELEASE,
        held(IS_WANTED),
        {
            "attempt": jobs.c.attempt - 1,
            "deliver_at": NOW,
            "reason": Reason.SHUTDOWN,
            "message": "Handed back by its worker; the attempt does not count",
        },
    )
)
_REVOKE = Prepared(
    move(
        Move.REVOKE, _BY_ID, {"reason": Reason.CANCELLED, "message": "Cancelled before it started"}
    )
)

_REQUESTED = (
    sa.update(jobs)
    .where(*_BY_ID, in_status(frozenset({Status.RUNNING})))
    .values(
        cancel_requested_at=sa.func.coalesce(jobs.c.cancel_requested_at, NOW),
        cancel_terminates=jobs.c.cancel_terminates | sa.bindparam("terminates", type_=sa.Boolean),
        last_seq=jobs.c.last_seq + 1,
    )
    .returning(*jobs.c)
    .cte("requested")
)
_REQUEST_CANCEL = Prepared(
    sa.select(_REQUESTED).add_cte(state_event(_REQUESTED, name=sa.literal("request_cancel")))
)


async def create(
    connection: AsyncConnection,
    new: NewJob,
    job_id: UUID | None = None,
    *,
    grace_seconds: float = DELIVERY_GRACE_SECONDS,
) -> Job:
    """Write a job and its first event; it is pending, and nobody knows of it yet.

    Who gives it a *job_id* can look for it when the answer gets lost. A job that is to start at
    once is left to its creator for *grace_seconds*; then the dispatcher delivers it.
    """
    made = await _one(
        connection,
        _CREATE_LOGGED,
        job_id=job_id or new_id(),
        grace_seconds=grace_seconds,
        **_columns(new),
    )
    assert made is not None  # noqa: S101  # An INSERT without a conflict clause returns its row.
    return made


async def mark_enqueued(connection: AsyncConnection, job_id: UUID) -> Job | None:
    """Say that a delivery is out, or that a deferred job waits for its time.

    `None` when a worker was faster, or the job was revoked.
    """
    return (await mark_enqueued_many(connection, [job_id])).get(job_id)


async def mark_enqueued_many(
    connection: AsyncConnection, job_ids: Iterable[UUID]
) -> dict[UUID, Job]:
    """Say that deliveries are out."""
    return await _many(connection, _ENQUEUE, [{"job_id": each} for each in job_ids])


async def claim(connection: AsyncConnection, job_id: UUID, holder: Holder) -> Job | None:
    """Take a waiting job that is due; one caller wins, and only while nobody has cancelled it."""
    return (await claim_many(connection, [job_id], holder)).get(job_id)


async def claim_many(
    connection: AsyncConnection, job_ids: Iterable[UUID], holder: Holder
) -> dict[UUID, Job]:
    """Take those of *job_ids* that wait, are due, and that nobody has cancelled."""
    who = {"holder_name": holder.name, "holder_id": holder.id}
    return await _many(connection, _CLAIM, [{"job_id": each, **who} for each in job_ids])


async def complete(connection: AsyncConnection, job: Job, ending: Ending) -> Job | None:
    """End *job* in success, with its result and its artifacts.

    `None` also when somebody has cancelled it meanwhile; so for every end but `stop`.
    """
    return (await end_many(connection, Move.COMPLETE, [(job, ending)])).get(job.id)


async def fail(connection: AsyncConnection, job: Job, ending: Ending) -> Job | None:
    """End *job* in failure, for good."""
    return (await end_many(connection, Move.FAIL, [(job, ending)])).get(job.id)


async def stop(connection: AsyncConnection, job: Job, ending: Ending) -> Job | None:
    """End *job* as cancelled, after its tool was stopped."""
    return (await end_many(connection, Move.STOP, [(job, ending)])).get(job.id)


async def retry(connection: AsyncConnection, job: Job, ending: Ending) -> Job | None:
    """Let *job* wait for its next attempt.

    `None` also when somebody has cancelled it meanwhile: a job nobody wants must not wait.
    """
    return (await end_many(connection, Move.RETRY, [(job, ending)])).get(job.id)


async def end_many(
    connection: AsyncConnection, name: Move, ended: Iterable[tuple[Job, Ending]]
) -> dict[UUID, Job]:
    """End the attempts at several jobs by one kind of move: COMPLETE, FAIL, STOP or RETRY."""
    return await _many(connection, _ENDS[name], [_end(job, ending) for job, ending in ended])


async def release(connection: AsyncConnection, job: Job) -> Job | None:
    """Hand *job* back unharmed: the attempt does not count. `None` also when it was cancelled."""
    return await _one(connection, _RELEASE, **_of(job), facts={"worker": job.worker})


async def revoke(connection: AsyncConnection, job_id: UUID) -> Job | None:
    """Cancel a job that waits. `None` when it does not wait (any more)."""
    return await _one(connection, _REVOKE, job_id=job_id)


async def request_cancel(
    connection: AsyncConnection, job_id: UUID, *, terminates: bool
) -> Job | None:
    """Leave word for the worker of a running job. `None` when it does not run (any more).

    A wish once spoken stays; *terminates* can only make it stronger.
    """
    return await _one(connection, _REQUEST_CANCEL, job_id=job_id, terminates=terminates)


async def _one(
    connection: AsyncConnection,
    statement: Prepared,
    **values: Any,  # noqa: ANN401  # As many types as columns.
) -> Job | None:
    rows = await statement.fetch(connection, [{**_NO_FACTS, **values}])
    return Job.of_columns(rows[0]) if rows else None


async def _many(
    connection: AsyncConnection, statement: Prepared, given: Iterable[Mapping[str, Any]]
) -> dict[UUID, Job]:
    # Everybody locks rows in the order of their ids, so that no two can wait for each other.
    in_order = sorted(given, key=itemgetter("job_id"))
    rows = await statement.fetch(connection, [{**_NO_FACTS, **each} for each in in_order])
    return {job.id: job for job in map(Job.of_columns, rows)}


def _end(job: Job, ending: Ending) -> dict[str, Any]:
    return {
        **_of(job),
        **_result(ending),
        "delay_seconds": job.retry_delay_seconds,
        "artifacts": [{"id": str(new_id()), **_columns(each)} for each in ending.artifacts],
        "facts": {"worker": job.worker, **ending.facts},
    }


def _of(job: Job) -> dict[str, Any]:
    return {"job_id": job.id, "held_fence": job.fence}


def _result(ending: Ending) -> dict[str, Any]:
    return {
        "new_reason": ending.reason,
        "new_message": ending.message,
        "new_return_code": ending.return_code,
        "new_duration_seconds": ending.duration_seconds,
        "output": ending.output,
        "output_bytes": ending.output_bytes,
        "error": ending.error,
        "error_bytes": ending.error_bytes,
        "left_out_lines": ending.left_out_lines,
    }


def _columns(record: NewJob | NewArtifact) -> dict[str, Any]:
    return {each.name: getattr(record, each.name) for each in fields(record)}
