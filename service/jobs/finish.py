"""Write down how an attempt ended, whatever becomes of PostgreSQL or of this process meanwhile."""

import asyncio
from dataclasses import replace

import structlog

from service.errors import JobNotFoundError, StoreUnavailableError
from service.jobs.context import Context
from service.jobs.spool import End
from service.queue.updates import announce
from service.store import events, jobs, lookup
from service.store.records import Job
from service.store.states import Reason, Status

log = structlog.stdlib.get_logger(__name__)

_PAUSE_SECONDS = 0.5


async def finish(context: Context, job: Job, end: End) -> Job | None:
    """Return the job as it ended; `None` when it is somebody else's by now.

    While PostgreSQL is away the end lies on the disk: should this process be killed, the next
    worker that starts on this folder writes it down (`replay`).
    """
    is_kept = bool(end.lines) and await _keep(context, end)  # PostgreSQL was away a moment ago.
    while True:
        try:
            finished = await _write(context, job, end)
        except StoreUnavailableError as error:
            log.warning("store away, waiting", what="end of a job", reason=str(error))
            is_kept = is_kept or await _keep(context, end)
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            if is_kept:
                await _forget(context, end)
            return finished


async def replay(context: Context) -> int:
    """Write down every end that a killed worker left behind; return how many there were.

    The guard is the same: an end changes nothing when the job was taken over. So it does no harm
    when the worker lives, and does the same. Raises StoreUnavailableError.
    """
    known = 0
    for path in await asyncio.to_thread(context.spool.paths):
        end = await asyncio.to_thread(context.spool.read, path)
        if end is None:
            continue
        known += 1
        try:
            finished = await _replay_one(context, end)
        except StoreUnavailableError:
            raise
        except Exception:
            # It stays where it is: no worker may be kept from starting by one end.
            log.exception("end not written down", job_id=str(end.job_id), fence=end.fence)
            continue
        if finished is None:
            log.warning("overtaken", job_id=str(end.job_id), fence=end.fence)
            await _forget_artifacts(context, end)
        else:
            log.info("end written down later", job_id=str(end.job_id), now=finished.status)
            names = [each.name for each in end.ending.artifacts]
            await announce(context.broker, finished, output_files=names)
        await _forget(context, end)
    return known


async def _replay_one(context: Context, end: End) -> Job | None:
    try:
        async with context.database.connect() as connection:
            job = await lookup.get_job(connection, end.job_id)
    except JobNotFoundError:
        return None
    return await _write(context, job, end) if job.fence == end.fence else None


async def _write(context: Context, job: Job, end: End) -> Job | None:
    """Write the end down; `None` when the job is somebody else's by now.

    The move finds no row when somebody has cancelled the job meanwhile: then it ends as cancelled.
    Or an earlier try of ours was committed and its answer lost: then the result stored is ours.
    """
    if end.lines:
        await _write_lines(context, job, end)
    done = await context.ledger.end(end.move, job, end.ending)
    if done is not None:
        return done
    async with context.database.connect() as connection:
        try:
            now = await lookup.get_detail(connection, job.id)
        except JobNotFoundError:
            return None
        if now.job.fence != job.fence:
            return None
        if now.job.status is Status.RUNNING:
            stopped = replace(end.ending, reason=Reason.CANCELLED, message="Cancelled")
            return await jobs.stop(connection, job, stopped)
        is_ours = now.result is not None and now.result.fence == job.fence
        return now.job if is_ours else None


async def _write_lines(context: Context, job: Job, end: End) -> None:
    """Store the last lines, of which the first may be stored: an answer was lost, or we were.

    When the job is not held any more, the move that follows finds out why.
    """
    async with context.database.connect() as connection:
        stored = await events.read_lines(
            connection, job.id, after=end.last_seq, most=len(end.lines)
        )
        rest = end.lines[len(stored) :]
        if rest:
            after = stored[-1].seq if stored else end.last_seq
            await events.append_lines(connection, job, rest, after=after)


async def _forget_artifacts(context: Context, end: End) -> None:
    try:
        await context.artifacts.delete_attempt(end.job_id, end.fence)
    except OSError as error:
        log.warning("artifacts left", job_id=str(end.job_id), reason=str(error))


async def _keep(context: Context, end: End) -> bool:
    try:
        await asyncio.to_thread(context.spool.keep, end)
    except OSError as error:
        # As long as this process lives, nothing is lost.
        log.error("end of a job not kept on disk", job_id=str(end.job_id), reason=str(error))  # noqa: TRY400  # The reason says all.
        return False
    return True


async def _forget(context: Context, end: End) -> None:
    try:
        await asyncio.to_thread(context.spool.forget, end)
    except OSError as error:  # To write it down again would change nothing.
        log.warning("file left in the spool", job_id=str(end.job_id), reason=str(error))
