"""Deliver what is late: the one way back for whatever fell between PostgreSQL and Redis."""

from uuid import UUID

import structlog

from service.jobs.context import Context
from service.queue.enqueue import redeliver
from service.store import lookup

log = structlog.stdlib.get_logger(__name__)

_PAGE = 500


async def dispatch(context: Context) -> int:
    """Deliver every waiting job that is due and in no queue; return how many there were.

    Such are: jobs whose API process died after its commit, jobs that came while Redis was away,
    retries whose time has come, rescued jobs, and all that waited when Redis was emptied.
    """
    delivered = 0
    behind: UUID | None = None
    while True:
        async with context.database.connect() as connection:
            overdue = await lookup.list_overdue(
                connection,
                older_than_seconds=context.settings.dispatch_seconds,
                behind=behind,
                most=_PAGE,
            )
        if not overdue:
            return delivered
        late = await redeliver(context.database, context.broker, overdue)
        if late:
            log.info("delivered what was late", jobs=len(late))
        delivered += len(late)
        behind = overdue[-1].id
