"""Deliver what is due: the one way into Redis for whatever its creator did not deliver."""

import structlog

from service.jobs.context import Context
from service.queue.enqueue import deliver_all
from service.store import schedule
from service.store.schedule import Turn

log = structlog.stdlib.get_logger(__name__)

_PAGE = 500


async def dispatch(context: Context) -> float | None:
    """Deliver every job that is due; return in how many seconds the next one will be.

    `None` when no other has a moment. Such are: jobs whose API process died after its commit, jobs
    that came while Redis was away, deferred jobs and retries whose time has come, released and
    rescued jobs. Of several workers one does it, and the others go on.
    """
    async with context.database.connect() as connection:
        wait = await schedule.seconds_until_due(connection)
        if wait is None or wait > 0:
            return wait
    if not await _deliver_due(context):
        return None  # Whoever has the turn looks again when it has done its round.
    async with context.database.connect() as connection:
        return await schedule.seconds_until_due(connection)


async def _deliver_due(context: Context) -> bool:
    """Deliver page by page; False when it is another worker's turn."""
    # The rows are marked on a connection of its own: were they locked until the turn ends, the
    # workers that the deliveries reach first would have to wait with their claims.
    async with context.database.begin() as connection:
        if not await schedule.take_turn(connection, Turn.DISPATCH):
            return False
        while due := await schedule.list_due(connection, most=_PAGE):
            await deliver_all(context.database, context.broker, due)
            log.info("delivered what was due", jobs=len(due))
            if len(due) < _PAGE:
                break
    return True
