"""From a request to a delivery: the row first, committed, and only then the message."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import structlog

from service.errors import BrokerUnavailableError, JobNotFoundError, StoreUnavailableError
from service.queue.broker import PATIENCE_SECONDS, Broker
from service.queue.delivery import Delivery
from service.store import jobs, lookup
from service.store.database import Database
from service.store.ids import new_id
from service.store.records import Job, NewJob
from service.store.states import Status

log = structlog.stdlib.get_logger(__name__)


async def submit(database: Database, broker: Broker, new: NewJob) -> Job:
    """Accept a job and hand it to arq.

    Returns it `queued`; still `pending` when Redis does not answer, and then the dispatcher
    delivers it later. Raises StoreUnavailableError when nothing was accepted.
    """
    job_id = new_id()
    is_sent = False
    try:
        async with database.connect() as connection:
            is_sent = True
            job = await jobs.create(connection, new, job_id)
    except StoreUnavailableError as error:
        if not is_sent:
            raise
        job = await _find_after_all(database, job_id, error)
    return await enqueue(database, broker, job)


async def _find_after_all(database: Database, job_id: UUID, error: StoreUnavailableError) -> Job:
    """Return a job whose commit was not answered, but done: else its client would make another."""
    try:
        async with database.connect() as connection:
            return await lookup.get_job(connection, job_id)
    except (JobNotFoundError, StoreUnavailableError):
        raise error from None


async def enqueue(database: Database, broker: Broker, job: Job) -> Job:
    """Deliver a committed job, and say so in its row.

    Returns it `queued`, or as it was when Redis does not answer.
    """
    try:
        await broker.deliver([Delivery.of(job)], within=PATIENCE_SECONDS)
    except BrokerUnavailableError as error:
        log.warning("delivery put off", job_id=str(job.id), reason=str(error))
        return job
    try:
        async with database.connect() as connection:
            # No row: a worker was faster than this statement, and the job further than queued.
            marked = await jobs.mark_enqueued(connection, job.id)
    except StoreUnavailableError as error:
        # The job was accepted and delivered; who asks again because of an error gets two.
        log.warning("delivery not noted", job_id=str(job.id), reason=str(error))
        marked = None
    return marked or replace(job, status=Status.QUEUED)


async def redeliver(database: Database, broker: Broker, overdue: Sequence[Job]) -> list[Job]:
    """Deliver those of *overdue* that wait in no queue, and return them."""
    deliveries = {Delivery.of(job): job for job in overdue}
    missing = await broker.missing(list(deliveries))
    late = [deliveries[each] for each in missing]
    if late:
        await broker.deliver(missing)
        async with database.connect() as connection:
            for job in late:
                await jobs.mark_enqueued(connection, job.id)
    return late
