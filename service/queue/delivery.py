"""One arq message that tells some worker to look at a job: its id, its place, its bytes.

The format is arq's own (`arq.jobs.serialize_job`), as JSON in place of pickle, so that another
program's `enqueue_job("run_tool", job_id)` is understood and nobody who can write to Redis can
make a worker run code of theirs.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from arq.constants import job_key_prefix
from arq.jobs import serialize_job
from pydantic import BaseModel, ConfigDict, Field

from service.store.records import Job, Waiting

RUN_TOOL = "run_tool"

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
# A queue's scores must order by priority, then by arrival. A double is exact up to 2**53, about
# 9e15: ten priorities of 8e14 microseconds (25 years) each fit below. arq's own scores,
# milliseconds since 1970, stay below 8e14 until the year 27000 and so come before them all.
_PRIORITY_SPAN = 8 * 10**14
FIRST_SCORE = _PRIORITY_SPAN
"""Scores below this are arq's own: the moment, in ms since 1970, from which a delivery is due."""


def score(priority: int, arrived_at: datetime) -> int:
    """Return a job's place in its queue: lower goes first."""
    return priority * _PRIORITY_SPAN + (arrived_at - _EPOCH) // timedelta(microseconds=1)


def own_place(score: float) -> tuple[int, datetime]:
    """Return the priority and the arrival that one of our scores stands for."""
    priority, microseconds = divmod(int(score), _PRIORITY_SPAN)
    return priority, _EPOCH + timedelta(microseconds=microseconds)


def delivery_id(job: Job | Waiting) -> str:
    """Return the id of the delivery of a job's next claim.

    It carries the fence that claim will have: nothing that arq keeps of an earlier one, a result
    or a mark, can stand in its way, and made twice it is still one entry.
    """
    return f"{job.id}:{job.fence + 1}"


def payload_key(delivery_id: str) -> str:
    """Return the key under which arq keeps what a delivery says."""
    return f"{job_key_prefix}{delivery_id}"


def parking_place(queue: str, function: str) -> str:
    """Return the key of the deliveries from *queue* that wait for a worker with *function*."""
    return f"{queue}:{function}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that is to be made, or was taken."""

    id: str
    queue: str
    score: float
    payload: bytes

    @classmethod
    def of(cls, job: Job | Waiting) -> "Delivery":
        """Return the delivery of a job's next claim."""
        return cls(
            id=delivery_id(job),
            queue=job.queue,
            score=score(job.priority, job.created_at),
            payload=serialize_job(
                RUN_TOOL, (str(job.id),), {}, None, time.time_ns() // 10**6, serializer=to_json
            ),
        )


class Call(BaseModel):
    """What a delivery asks for, under the short names arq writes."""

    model_config = ConfigDict(frozen=True)

    function: str = Field(alias="f", max_length=200)
    args: list[Any] = Field(alias="a")
    kwargs: dict[str, Any] = Field(alias="k")


def read_call(payload: bytes) -> Call:
    """Read what a delivery says; raise ValueError when that is not JSON of arq's form."""
    return Call.model_validate_json(payload)


def to_json(value: dict[str, Any]) -> bytes:
    """Serialize for arq."""
    return orjson.dumps(value)
