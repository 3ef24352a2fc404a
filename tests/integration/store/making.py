"""Jobs and workers as the tests need them."""

from dataclasses import replace
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import jobs, lookup, workers
from service.store.records import Ending, Holder, Job, NewJob
from service.store.states import Reason, Status
from service.store.workers import Identity

NEW = NewJob(
    tool_name="sleep",
    parameters={"seconds": 1},
    queue="tools",
    priority=5,
    max_attempts=4,
    retry_delay_seconds=60.0,
    soft_limit_seconds=3300.0,
    hard_limit_seconds=3600.0,
)
SUCCESS = Ending(reason=None, message=None, return_code=0, duration_seconds=0.5)
FAILURE = Ending(reason=Reason.ERROR, message="Exit code 1", return_code=1, duration_seconds=0.5)
CANCELLED = Ending(
    reason=Reason.CANCELLED, message="Cancelled", return_code=-15, duration_seconds=0.5
)


def somebody(name: str = "worker@here") -> Holder:
    """Return a worker that never signed on."""
    return Holder(uuid4(), name)


def identity(holder: Holder, **changes: object) -> Identity:
    """Return *holder* as it signs on."""
    known = Identity(
        id=holder.id,
        name=holder.name,
        host="here",
        boot_id="boot",
        pid=1,
        process_started_at=1.0,
        queues=("tools",),
        concurrency=4,
        isolation="none",
        is_standby=False,
    )
    return replace(known, **changes)  # pyright: ignore[reportArgumentType]  # Tests name real fields.


async def signed_on(connection: AsyncConnection, *, lease_seconds: float = 60.0) -> Holder:
    """Return a worker whose lease runs out in *lease_seconds*, or ran out that long ago."""
    holder = somebody(f"worker-{uuid4()}")
    assert await workers.register(connection, identity(holder), lease_seconds=lease_seconds)
    return holder


async def claimed(connection: AsyncConnection, holder: Holder | None = None) -> Job:
    """Return a job that *holder* has claimed."""
    job = await jobs.create(connection, NEW)
    running = await jobs.claim(connection, job.id, holder or somebody())
    assert running is not None
    return running


async def job_in(connection: AsyncConnection, status: Status) -> Job:
    """Return a job that came to *status* by legal moves."""
    if status in {Status.PENDING, Status.QUEUED}:
        job = await jobs.create(connection, NEW)
        if status is Status.QUEUED:
            await jobs.mark_enqueued(connection, job.id)
    else:
        job = await claimed(connection)
        if status is Status.COMPLETED:
            await jobs.complete(connection, job, SUCCESS)
        elif status is Status.FAILED:
            await jobs.fail(connection, job, FAILURE)
        elif status is Status.CANCELLED:
            await jobs.stop(connection, job, CANCELLED)
    return await lookup.get_job(connection, job.id)


async def transitions(connection: AsyncConnection, job: Job) -> list[tuple[str | None, str]]:
    """Return the statuses the job went through, as pairs."""
    rows = await connection.execute(
        sa.text(
            "SELECT from_status, to_status FROM job_transitions WHERE job_id = :job ORDER BY seq"
        ),
        {"job": job.id},
    )
    return [(row.from_status, row.to_status) for row in rows]


async def footprint(connection: AsyncConnection, job: Job) -> tuple[Job, int]:
    """Return all that a statement could have changed: the row, and how many events there are."""
    count = await connection.execute(
        sa.text("SELECT count(*) FROM job_events WHERE job_id = :job"), {"job": job.id}
    )
    return await lookup.get_job(connection, job.id), count.scalar_one()
