"""Deliver again what Redis has lost, or a worker that died before its claim has taken with it."""

import structlog

from service.config import QUEUES
from service.jobs.context import Context
from service.queue.broker import Sight
from service.queue.delivery import delivery_id, own_place
from service.queue.enqueue import redeliver
from service.store import schedule
from service.store.database import Connection
from service.store.records import Waiting
from service.store.schedule import Place, Turn

log = structlog.stdlib.get_logger(__name__)

_PAGE = 500


async def restore(context: Context) -> int:
    """Deliver again what should be waiting in a queue and is not; return how many there were.

    A queue is taken from at its head, so what was taken and never claimed stands before the head:
    looking there costs the same however long the queue is. What is lost from the midst of a queue,
    or with the whole of it, is found by a full look, which is due when the server was emptied or
    replaced, and once a minute.
    """
    async with context.database.connect() as connection:
        queues = await schedule.queues_with_deliveries(connection, QUEUES)
    if not queues:
        context.taken = frozenset()
        return 0
    async with context.database.begin() as connection:
        if not await schedule.take_turn(connection, Turn.RESTORE):
            return 0
        sight = await context.broker.look(queues)
        if sight.is_complete:
            lost = await _before_the_heads(context, connection, sight)
        else:
            lost = await _everywhere(context, connection, queues, sight.server)
    if lost:
        log.warning("delivered again", jobs=lost)
    return lost


async def _before_the_heads(context: Context, connection: Connection, sight: Sight) -> int:
    """Deliver what stood before a queue's head at the last look and does still.

    One look does not tell: between taking and claiming pass some milliseconds.
    """
    gone: list[Waiting] = []
    for queue, first in sight.first.items():
        gone += await schedule.list_delivered(
            connection, queue, most=_PAGE, before=None if first is None else own_place(first)
        )
    lost = [each for each in gone if delivery_id(each) in context.taken]
    context.taken = frozenset(map(delivery_id, gone))
    await redeliver(context.broker, lost)
    return len(lost)


async def _everywhere(
    context: Context, connection: Connection, queues: list[str], server: str
) -> int:
    """Look for every delivery that should be there, in the order in which they are taken."""
    lost = 0
    await context.broker.begin_full_look()
    for queue in queues:
        behind: Place | None = None
        while page := await schedule.list_delivered(connection, queue, most=_PAGE, behind=behind):
            ids = {delivery_id(each): each for each in page}
            absent = await context.broker.missing(queue, list(ids))
            # Most of these were just claimed.
            gone = await schedule.still_delivered(connection, [ids[each] for each in absent])
            await redeliver(context.broker, gone)
            lost += len(gone)
            await context.broker.go_on_with_full_look()  # However many there are.
            behind = Place.of(page[-1])
    await context.broker.end_full_look(server)
    return lost
