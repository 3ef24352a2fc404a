"""Running jobs without deliveries: while Redis is away, a worker claims from PostgreSQL."""

import asyncio
from collections.abc import Collection
from typing import Any

import structlog

from service.errors import StoreUnavailableError
from service.execution.hold import boot_nanoseconds
from service.jobs.context import Context
from service.jobs.run_tool import run_claimed
from service.store import next_job
from service.store.records import Job

log = structlog.stdlib.get_logger(__name__)


async def run_waiting(ctx: dict[Any, Any], found: asyncio.Event) -> None:
    """Run the jobs that wait, one after the other, until none does or Redis is back.

    Sets *found* at the first. What is served and in which order is as with deliveries.
    """
    context: Context = ctx["context"]
    in_order = [(each,) for each in context.identity.queues]
    while (job := await claim_next(context, *in_order)) is not None:
        found.set()
        await run_claimed(context, job)
        if not context.broker.is_away:
            return


async def claim_next(context: Context, *choices: Collection[str]) -> Job | None:
    """Claim the first job that waits in the first of *choices* in which one does.

    A choice is a collection of queues that go as one. `None` also while PostgreSQL is away.
    """
    for queues in choices:
        if context.is_draining:
            return None
        until = context.hold.until
        try:
            async with context.database.connect() as connection:
                job = await next_job.claim_next(
                    connection, context.holder, queues, besides=tuple(context.running)
                )
        except StoreUnavailableError as error:
            # Should the claim be committed all the same, a heartbeat finds it and lets it go.
            log.warning("store away, nothing claimed", reason=str(error))
            return None
        if job is not None and until is not None and boot_nanoseconds() >= until:
            # It may have been rescued since. If not, a heartbeat finds it and lets it go.
            log.warning("claim answered too late", job_id=str(job.id))
            return None
        if job is not None:
            log.info("claimed without a delivery", job_id=str(job.id), queue=job.queue)
            return job
    return None
