"""The job function behind every tool: one delivery, from claim to result."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import structlog

from service.execution.outcome import Outcome
from service.execution.stop import Stop, StopKind
from service.jobs.attempt import Attempt
from service.jobs.context import Context, Running
from service.jobs.journal import until_stored
from service.jobs.verdict import judge
from service.queue.updates import announce
from service.store import jobs, lookup
from service.store.records import Ending, Job, NewArtifact
from service.store.states import MOVES, Move, Reason, Status

log = structlog.stdlib.get_logger(__name__)


async def run_tool(ctx: dict[str, Any], job_id: str) -> None:
    """Take one delivery from claim to result."""
    context: Context = ctx["context"]
    job = await _claim(context, UUID(job_id))
    if job is None:
        return  # Cancelled, or not yet due, or another delivery won.
    stop = Stop()
    context.running[job.id] = Running(job.fence, stop)
    if context.is_draining:
        stop.request(StopKind.RELEASE)
    try:
        await announce(context.broker, job)
        await _attempt(context, job, stop)
    finally:
        del context.running[job.id]


async def _claim(context: Context, job_id: UUID) -> Job | None:
    if context.is_draining:
        return None  # The dispatcher delivers it to somebody who stays.
    async with context.database.connect() as connection:
        return await jobs.claim(connection, job_id, context.holder)


async def _attempt(context: Context, job: Job, stop: Stop) -> None:
    attempt = Attempt(context, job, stop)
    try:
        outcome = await attempt.run()
        move = judge(job, outcome.reason)
        kept = await _keep_artifacts(attempt, job) if MOVES[move].target.is_final else []
        finished = await _finish(context, job, move, _ending(outcome, kept))
        if finished is None:
            log.warning("overtaken", job_id=str(job.id), fence=job.fence)
            await attempt.forget_artifacts()
        else:
            await announce(context.broker, finished, output_files=[each.name for each in kept])
    finally:
        await attempt.clean_up()


async def _keep_artifacts(attempt: Attempt, job: Job) -> list[NewArtifact]:
    try:
        return await attempt.keep_artifacts()
    except OSError as error:
        # The job's state comes first: without its files it still ends as it did.
        log.error("artifacts lost", job_id=str(job.id), reason=str(error))  # noqa: TRY400  # The reason says all.
        return []


async def _finish(context: Context, job: Job, move: Move, ending: Ending) -> Job | None:
    """Write down how it ended; `None` when the job is somebody else's by now."""

    async def write() -> Job | None:
        async with context.database.connect() as connection:
            match move:
                case Move.COMPLETE:
                    done = await jobs.complete(connection, job, ending)
                case Move.STOP:
                    done = await jobs.stop(connection, job, ending)
                case Move.RETRY:
                    done = await jobs.retry(connection, job, ending)
                case Move.RELEASE:
                    done = await jobs.release(connection, job)
                case _:
                    done = await jobs.fail(connection, job, ending)
            return done or await _look_again(context, job, ending)

    return await until_stored(write, what="end of a job")


async def _look_again(context: Context, job: Job, ending: Ending) -> Job | None:
    """Find out why a move found no row.

    Somebody may have cancelled the job meanwhile: then it ends as cancelled. Or an earlier try of
    ours was committed and its answer lost: then the result that is stored is ours.
    """
    async with context.database.connect() as connection:
        now = await lookup.get_detail(connection, job.id)
        if now.job.fence != job.fence:
            return None
        if now.job.status is Status.RUNNING:
            stopped = replace(ending, reason=Reason.CANCELLED, message="Cancelled")
            return await jobs.stop(connection, job, stopped)
        is_ours = now.result is not None and now.result.fence == job.fence
        return now.job if is_ours else None


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
