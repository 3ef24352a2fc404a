"""From a request to a delivery: the row first, committed, and only then the message."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from uuid import UUID

import structlog

from service.errors import (
    BrokerUnavailableError,
    InvalidRequestError,
    JobNotFoundError,
    StoreUnavailableError,
    Violation,
)
from service.queue.broker import PATIENCE_SECONDS, Broker
from service.queue.control import nudge_due
from service.queue.delivery import Delivery
from service.queue.standby import Standby
from service.store import jobs, lookup, schedule
from service.store.database import Connection, Database
from service.store.idempotency import Holding, RequestKey, take_key
from service.store.ids import new_id
from service.store.records import Job, NewJob, Waiting
from service.store.states import Status

_DELIVERED_AT_ONCE = 250
"""Deliveries in one round trip; more would hold Redis from others for milliseconds."""

_MARKED_AT_ONCE = 500

log = structlog.stdlib.get_logger(__name__)


async def submit(
    database: Database, broker: Broker, new: NewJob, local: Standby | None = None
) -> Job:
    """Accept a job and hand it to arq, or put it on the schedule when it is to start later.

    Returns it `queued`. Still `pending` when *local* takes it, or when Redis does not answer, and
    then the dispatcher delivers it later. Raises StoreUnavailableError when nothing was accepted.
    """
    job_id = new_id()
    is_sent = False
    try:
        if new.is_immediate:
            async with database.connect() as connection:
                is_sent = True
                job = await jobs.create(connection, new, job_id)
        else:
            async with database.begin() as connection:
                is_sent = True
                job = await _create_scheduled(connection, new, job_id)
    except StoreUnavailableError as error:
        if not is_sent:
            raise
        job = await _find_after_all(database, job_id, error)
    return await _hand_over(database, broker, job, local)


async def submit_once(
    database: Database,
    broker: Broker,
    new: NewJob,
    request: RequestKey,
    local: Standby | None = None,
) -> tuple[Job, bool]:
    """Accept a job as `submit` does, unless an earlier request with the same key was accepted.

    Returns the job, as it is now, and whether it is that earlier one. Raises InvalidRequestError
    when the earlier request said something else.
    """
    job_id = new_id()
    is_sent = False
    try:
        async with database.begin() as connection:
            is_sent = True
            holding = await take_key(connection, request, job_id)
            if holding is None:
                job = await _create_scheduled(connection, new, job_id)
            else:
                _check_same(request, holding)
                job = await lookup.get_job(connection, holding.job_id)
    except StoreUnavailableError as error:
        if not is_sent:
            raise
        holding = None
        job = await _find_after_all(database, job_id, error)
    # Repeated too: whoever wrote it down the first time may have died before the delivery.
    return await _hand_over(database, broker, job, local), holding is not None


def _check_same(request: RequestKey, holding: Holding) -> None:
    if request.body_hash != holding.body_hash:
        message = "Idempotency-Key: an earlier request with this key had another body"
        raise InvalidRequestError(
            [Violation(("header", "Idempotency-Key"), "reused", message, request.key)]
        )


async def _create_scheduled(connection: Connection, new: NewJob, job_id: UUID) -> Job:
    """Write the job down, `queued` already when it has to wait for its time."""
    job = await jobs.create(connection, new, job_id)
    if job.next_attempt_at is None:
        return job
    return await jobs.mark_enqueued(connection, job_id) or job


async def _hand_over(database: Database, broker: Broker, job: Job, local: Standby | None) -> Job:
    """Deliver a job that may start, or have it run here, or have dispatchers look when it may."""
    if job.status is Status.PENDING:
        is_local = local is not None and local.takes(job.queue)
        done = job if is_local else await enqueue(database, broker, job)
        if local is not None and done.status is Status.PENDING:
            local.wake()
        return done
    if job.attempt == 0 and job.next_attempt_at is not None:
        wait = job.next_attempt_at - job.created_at  # Both by the clock of the store.
        await nudge_due(broker, wait.total_seconds())
    return job


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


async def deliver_all(database: Database, broker: Broker, waiting: Sequence[Job | Waiting]) -> None:
    """Deliver jobs of whose rows the schedule says that they are due, and say so in these."""
    await redeliver(broker, waiting)
    async with database.connect() as connection:
        for batch in _batches(waiting, _MARKED_AT_ONCE):
            await schedule.mark_delivered(connection, batch)


async def redeliver(broker: Broker, waiting: Sequence[Job | Waiting]) -> None:
    """Deliver jobs of which a delivery was out before; their rows stay as they are."""
    for batch in _batches(waiting, _DELIVERED_AT_ONCE):
        await broker.deliver([Delivery.of(job) for job in batch])


def _batches(waiting: Sequence[Job | Waiting], size: int) -> Iterator[Sequence[Job | Waiting]]:
    for start in range(0, len(waiting), size):
        yield waiting[start : start + size]
