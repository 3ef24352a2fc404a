"""`POST /api/run`: a tool and its parameters become a job."""

import hashlib
import re
from contextlib import suppress
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator
from starlette.responses import Response

from service.config import MOST_DELAY_SECONDS, QUEUES
from service.errors import Violation
from service.queue.enqueue import submit, submit_once
from service.queue.plan import plan
from service.queue.standby import Standby
from service.queue.wishes import Wishes
from service.store.idempotency import RequestKey
from service.store.records import Job
from service.store.states import Status
from service.tools.validation import validate
from service.web.answers import json_answer
from service.web.problems import WrongRequestError
from service.web.reading import read_body
from service.web.state import ApiRequest

KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"
"""Says that the job was accepted by an earlier request with the same key."""

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def _known_queue(name: str) -> str:
    if name not in QUEUES:
        message = f"must be one of {', '.join(QUEUES)}"
        raise ValueError(message)
    return name


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    moment = None
    if isinstance(value, str):
        with suppress(ValueError):
            moment = datetime.fromisoformat(value)
    # Not the first and last day of the calendar either: elsewhere they are in no year there is.
    if moment is None or moment.tzinfo is None or moment.year in {MINYEAR, MAXYEAR}:
        message = "must be a moment with its offset, like 2030-01-31T08:00:00+01:00"
        raise ValueError(message)
    return moment.astimezone(UTC)


_Limit = Annotated[float, Field(ge=1, allow_inf_nan=False)]
_Delay = Annotated[float, Field(ge=0, le=MOST_DELAY_SECONDS, allow_inf_nan=False)]


class RunRequest(BaseModel):
    """What is to be run, and how; what is left out or null is the tool's or the settings'."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tool_name: str = Field(min_length=1, max_length=200)
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])
    soft_time_limit: _Limit | None = None
    time_limit: _Limit | None = None
    max_retries: Annotated[int, Field(ge=0, le=100)] | None = None
    retry_delay: _Delay | None = None
    priority: Annotated[int, Field(ge=1, le=10)] | None = None
    queue: Annotated[str, AfterValidator(_known_queue)] | None = None
    delay: _Delay | None = None
    run_at: Annotated[datetime | None, PlainValidator(_moment)] = None

    def wishes(self) -> Wishes:
        """Return what it asks for beside the tool and its parameters."""
        return Wishes(**self.model_dump(exclude={"tool_name", "parameters"}))


class RunAnswer(BaseModel):
    """What became of the request, in the four keys the Celery-based system answered with."""

    job_id: str
    tool_name: str
    status: Status
    message: str


class DeferredAnswer(RunAnswer):
    """What became of a request for later, and when the job starts."""

    next_attempt_at: datetime


async def create_job(request: ApiRequest) -> Response:
    """Accept a job. Whatever is wrong with the request is said before anything is written."""
    key = _read_key(request)
    asked = await read_body(request, RunRequest)
    state, local = request.state, request.state["local"]
    state["catalog"].refresh()
    tool = state["catalog"].get(asked.tool_name)
    parameters = validate(tool, asked.parameters)
    new = plan(tool, parameters, state["settings"], asked.wishes())
    if key is None:
        job = await submit(state["database"], state["broker"], new, local)
        return json_answer(_answer(job, local))
    wanted = RequestKey(owner="", key=key, body_hash=_hash(asked))
    job, is_repeat = await submit_once(state["database"], state["broker"], new, wanted, local)
    return json_answer(
        _answer(job, local), headers={REPLAYED_HEADER: "true"} if is_repeat else None
    )


def _answer(job: Job, local: Standby | None) -> RunAnswer:
    answer = RunAnswer(
        job_id=str(job.id),
        tool_name=job.tool_name,
        status=job.status,
        message=_message(job, is_local=local is not None and local.takes(job.queue)),
    )
    if job.next_attempt_at is None:
        return answer
    return DeferredAnswer(**answer.model_dump(), next_attempt_at=job.next_attempt_at)


def _message(job: Job, *, is_local: bool) -> str:
    if job.status is Status.PENDING and is_local:
        return f"Tool {job.tool_name} started (local execution)"
    if job.status is Status.PENDING:
        return f"Tool {job.tool_name} accepted; it is queued as soon as the broker answers"
    at = f" at {job.next_attempt_at.isoformat()}" if job.next_attempt_at else ""
    return f"Tool {job.tool_name} queued for execution{at} (Celery task: {job.id})"


def _read_key(request: ApiRequest) -> str | None:
    """Return the key that makes repeating the request safe, if it has one."""
    keys = request.headers.getlist(KEY_HEADER)
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        message = f"{KEY_HEADER}: must be one key of 1 to 255 visible ASCII characters"
        raise WrongRequestError([Violation(("header", KEY_HEADER), "pattern", message, keys[0])])
    return keys[0]


def _hash(asked: RunRequest) -> bytes:
    """Return what two bodies share that say the same, be it in another order."""
    return hashlib.sha256(orjson.dumps(asked.model_dump(), option=orjson.OPT_SORT_KEYS)).digest()
