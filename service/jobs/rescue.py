"""Take jobs from workers that lost their lease."""

import structlog

from service.jobs.context import Context
from service.queue.enqueue import deliver_all
from service.queue.updates import announce
from service.store.records import Job
from service.store.rescue import rescue_lost
from service.store.states import Status

log = structlog.stdlib.get_logger(__name__)


_BATCH = 100
"""Jobs taken by one statement; what it locks, it locks until its end."""


async def rescue(context: Context) -> int:
    """Take every lost job from its worker and deliver it again; return how many there were."""
    waiting: list[Job] = []
    count = 0
    while True:
        taken = await _take(context)
        count += len(taken)
        waiting += [job for job in taken if job.status is Status.QUEUED]
        if len(taken) < _BATCH:
            break
    if waiting:
        # Last: without Redis it fails, and the jobs are there to be claimed all the same.
        await deliver_all(context.database, context.broker, waiting)
    return count


async def _take(context: Context) -> list[Job]:
    async with context.database.connect() as connection:
        taken = await rescue_lost(
            connection,
            lease_seconds=context.settings.lease_seconds,
            max_losses=context.settings.max_losses,
            trusts_leases=context.regularity.is_given,
            most=_BATCH,
        )
    for job in taken:
        log.warning("rescued", job_id=str(job.id), now=job.status, losses=job.losses)
        await announce(context.broker, job)
    return taken
