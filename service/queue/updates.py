"""The `job_updates` channel: what the Celery-based system's clients listen to, as they know it."""

from collections.abc import Sequence

import orjson
import structlog

from service.errors import BrokerUnavailableError
from service.queue.broker import Broker
from service.store.records import Job
from service.store.states import Status

CHANNEL = "job_updates"

log = structlog.stdlib.get_logger(__name__)


async def announce(broker: Broker, job: Job, *, output_files: Sequence[str] = ()) -> None:
    """Publish that *job* now is what it is, to whoever listens.

    Called after the change is committed. Nobody depends on it: when Redis is away it is lost.
    """
    message = _message(job, output_files)
    if message is None:
        return
    try:
        await broker.publish(CHANNEL, orjson.dumps(message))
    except BrokerUnavailableError as error:
        log.warning("update not published", job_id=str(job.id), reason=str(error))


def _message(job: Job, output_files: Sequence[str]) -> dict[str, object] | None:
    common: dict[str, object] = {"job_id": str(job.id), "status": job.status}
    if job.status is Status.RUNNING:
        return {**common, "worker": job.worker}
    if job.status is Status.COMPLETED:
        return {**common, "output_files": list(output_files), "duration": job.duration_seconds}
    if job.status is Status.FAILED:
        return {**common, "error": job.message}
    if job.status is Status.CANCELLED:
        return common
    return None
