"""The control channel: nudges to workers. Whatever they say stands in the rows too."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import orjson
import structlog

from service.errors import BrokerUnavailableError, JobFinishedError
from service.queue.broker import Broker
from service.queue.delivery import Delivery
from service.queue.updates import announce
from service.queue.waiting import BLOCK_SECONDS
from service.store import jobs, lookup
from service.store.database import Database
from service.store.records import Job
from service.store.states import WAITING

CHANNEL = "data20:control"

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """Somebody wants a running job ended; `terminates`: at once, without asking the tool."""

    job_id: UUID
    terminates: bool


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery is due in so many seconds, perhaps sooner than the next round would look.

    Not a moment: the clocks of two hosts may differ.
    """

    in_seconds: float


async def cancel(
    database: Database,
    broker: Broker,
    job_id: UUID,
    *,
    terminates: bool,
    heed: Callable[[Wish], None] | None = None,
) -> Job:
    """Cancel a job: one that waits at once, one that runs by its worker.

    That may be this very process, which is told by *heed*.

    Returns the job as it is after the wish is written down: `cancelled`, or still `running`.
    Raises JobNotFoundError, and JobFinishedError for one that has ended.
    """
    async with database.connect() as connection:
        while True:
            job = await lookup.get_job(connection, job_id)
            if job.status.is_final:
                raise JobFinishedError(job_id, job.status)
            if job.status in WAITING:
                changed = await jobs.revoke(connection, job_id)
            else:
                changed = await jobs.request_cancel(connection, job_id, terminates=terminates)
            if changed is not None:
                break  # Else it moved between the two statements: look again.
    if changed.status.is_final:
        await _withdraw(broker, job)
        await announce(broker, changed)
    else:
        wish = Wish(job_id, changed.cancel_terminates)
        if heed is not None:
            heed(wish)
        await _nudge(broker, wish)
    return changed


async def _withdraw(broker: Broker, job: Job) -> None:
    try:
        await broker.withdraw([Delivery.of(job)])
    except BrokerUnavailableError as error:
        log.info("delivery left behind", job_id=str(job.id), reason=str(error))


async def nudge_due(broker: Broker, in_seconds: float) -> None:
    """Have dispatchers look when a delivery falls due; a lost nudge costs at most one round."""
    try:
        await broker.publish(CHANNEL, orjson.dumps({"due_in": max(0.0, in_seconds)}))
    except BrokerUnavailableError as error:
        log.info("nudge not sent", reason=str(error))


async def _nudge(broker: Broker, wish: Wish) -> None:
    message = orjson.dumps({"cancel": str(wish.job_id), "terminate": wish.terminates})
    try:
        await broker.publish(CHANNEL, message)
    except BrokerUnavailableError as error:  # The worker reads the row at its next heartbeat.
        log.info("nudge not sent", job_id=str(wish.job_id), reason=str(error))


async def listen(broker: Broker, act: Callable[[Wish | Due], Awaitable[None]]) -> None:
    """Pass on every nudge that comes, until cancelled, whatever becomes of the connection."""
    connection = broker.waiting_connection(answer_within=BLOCK_SECONDS * 2)
    try:
        while True:
            try:
                message = await connection.next_message(CHANNEL)
            except BrokerUnavailableError as error:
                log.debug("control channel lost", reason=str(error))
                await connection.pause_after_failure()
                continue
            nudge = message and _read(message)
            if nudge:
                await act(nudge)
    finally:
        await asyncio.shield(connection.close())


def _read(message: bytes) -> Wish | Due | None:
    try:
        content = orjson.loads(message)
        if "due_in" in content:
            return Due(float(content["due_in"]))
        return Wish(UUID(str(content["cancel"])), bool(content["terminate"]))
    except (ValueError, KeyError, TypeError):
        log.warning("not a control message", message=message[:200])
        return None
