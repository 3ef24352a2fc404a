"""The job function behind every tool: one delivery, from claim to result."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog

from service.errors import JobNotFoundError, StoreUnavailableError
from service.execution.hold import boot_nanoseconds
from service.execution.outcome import Outcome
from service.execution.stop import Stop, StopKind
from service.jobs.attempt import Attempt
from service.jobs.context import Context, Running
from service.jobs.finish import finish
from service.jobs.journal import until_stored
from service.jobs.spool import End
from service.jobs.verdict import judge
from service.queue.control import nudge_due
from service.queue.updates import announce
from service.store import lookup
from service.store.records import Ending, Job, NewArtifact
from service.store.states import MOVES, Reason, Status

log = structlog.stdlib.get_logger(__name__)


async def run_tool(ctx: dict[str, Any], job_id: object) -> None:
    """Take one delivery from claim to result; *job_id* is whatever its sender wrote."""
    context: Context = ctx["context"]
    wanted = _read_id(job_id)
    if wanted is None:
        return
    if wanted in context.running:
        # Should it be due again once this one has ended, the dispatcher sees to it.
        log.info("delivered while it is here", job_id=str(wanted))
        return
    running = context.running[wanted] = Running()
    try:
        job = await _claim(context, wanted)
        if job is None:
            log.info("not claimed", job_id=str(wanted))
            return  # Cancelled, or not yet due, or unknown, or another delivery won.
        await _run(context, job, running)
    finally:
        del context.running[wanted]


async def run_claimed(context: Context, job: Job) -> None:
    """Take a job that was claimed here, without a delivery, to its result."""
    if job.id in context.running:
        # A delivery of it came while we claimed it, and knows the claim for one of this worker's.
        return
    running = context.running[job.id] = Running()
    try:
        await _run(context, job, running)
    finally:
        del context.running[job.id]


async def _run(context: Context, job: Job, running: Running) -> None:
    running.fence = job.fence
    context.begun += 1
    if context.is_draining:
        running.stop.request(StopKind.RELEASE)
    await announce(context.broker, job)
    try:
        await _attempt(context, job, running.stop)
    except Exception:
        log.exception("attempt broken off", job_id=str(job.id))
        await _give_up(context, job)


def _read_id(job_id: object) -> UUID | None:
    """Return the id, or `None` when whoever wrote the delivery sent something else."""
    try:
        return UUID(str(job_id))
    except ValueError:
        log.warning("not the id of a job", given=repr(job_id)[:100])
        return None


async def _claim(context: Context, job_id: UUID) -> Job | None:
    """Claim the job, as soon as PostgreSQL answers; so no more is taken than could be run."""

    async def write() -> Job | None:
        if context.is_draining:
            return None  # The dispatcher delivers it to somebody who stays.
        until = context.hold.until
        job = await context.ledger.claim(job_id) or await _find_ours(context, job_id)
        if job is not None and until is not None and boot_nanoseconds() >= until:
            # Renewed or not, the lease may have lapsed since, and the job be somebody else's.
            raise StoreUnavailableError("a claim was answered after the lease it was made under")
        return job

    return await until_stored(write, what="claim")


async def _find_ours(context: Context, job_id: UUID) -> Job | None:
    """Return the job if it is ours already: an earlier try was committed and its answer lost."""
    async with context.database.connect() as connection:
        try:
            job = await lookup.get_job(connection, job_id)
        except JobNotFoundError:
            return None
    is_ours = job.status is Status.RUNNING and job.worker_id == context.identity.id
    return job if is_ours else None


async def _attempt(context: Context, job: Job, stop: Stop) -> None:
    attempt = Attempt(context, job, stop)
    try:
        outcome = await attempt.run()
        move = judge(job, outcome.reason)
        kept = await _keep_artifacts(attempt, job) if MOVES[move].target.is_final else []
        end = End(job.id, job.fence, move, _ending(outcome, kept), *attempt.unwritten)
        finished = await finish(context, job, end)
        if finished is None:
            log.warning("overtaken", job_id=str(job.id), fence=job.fence)
            await attempt.forget_artifacts()
        else:
            await announce(context.broker, finished, output_files=[each.name for each in kept])
            await _schedule(context, finished)
    finally:
        await attempt.clean_up()


async def _give_up(context: Context, job: Job) -> None:
    """End an attempt that we, not the tool, have failed: no job may stay as it is for ever."""
    broken = Ending(
        reason=Reason.ERROR,
        message=f"Worker {context.identity.name} failed at this job; its log says why",
        return_code=None,
        duration_seconds=0.0,
    )
    move = judge(job, Reason.ERROR)
    finished = await finish(context, job, End(job.id, job.fence, move, broken, job.last_seq))
    if finished is not None:
        await announce(context.broker, finished)
        await _schedule(context, finished)


async def _schedule(context: Context, job: Job) -> None:
    """Have a job that waits again delivered in time: a retry when it is due, else at once."""
    if job.status is Status.QUEUED:
        wait = 0.0 if job.reason is Reason.SHUTDOWN else job.retry_delay_seconds
        context.alarm.ring_in(wait)
        await nudge_due(context.broker, wait)


async def _keep_artifacts(attempt: Attempt, job: Job) -> list[NewArtifact]:
    try:
        return await attempt.keep_artifacts()
    except OSError as error:
        # The job's state comes first: without its files it still ends as it did.
        log.error("artifacts lost", job_id=str(job.id), reason=str(error))  # noqa: TRY400  # The reason says all.
        return []


def _ending(outcome: Outcome, kept: Sequence[NewArtifact]) -> Ending:
    return Ending(
        reason=outcome.reason,
        message=outcome.message,
        return_code=outcome.return_code,
        duration_seconds=outcome.duration_seconds,
        output=outcome.output.text,
        output_bytes=outcome.output.total_bytes,
        error=outcome.error.text,
        error_bytes=outcome.error.total_bytes,
        left_out_lines=outcome.left_out_lines,
        artifacts=kept,
        facts={
            "signals": [{"name": each.name, "at": each.at.isoformat()} for each in outcome.signals]
        },
    )
