"""`/api/jobs`: what became of jobs, what they printed, and how to cancel one."""

import base64
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.endpoints import HTTPEndpoint
from starlette.responses import Response

from service.errors import Violation
from service.queue.control import cancel
from service.store import events, lookup
from service.store.lookup import JobDetail, Place
from service.store.states import Reason, Status
from service.web.answers import json_answer
from service.web.problems import WrongRequestError
from service.web.reading import read_query
from service.web.state import ApiRequest


class JobView(BaseModel):
    """A job as clients see it. `task_id` and `celery_task_id` are its id under other names.

    `output` and `error` are the ends of what the latest attempt printed, and say so in their first
    line where something is missing before it; in a list they are shorter.
    """

    job_id: str
    task_id: str
    celery_task_id: str
    tool_name: str
    parameters: dict[str, Any]
    status: Status
    reason: Reason | None
    message: str | None
    progress: float | None
    progress_message: str | None
    output: str | None
    output_bytes: int | None
    error: str | None
    error_bytes: int | None
    left_out_lines: int | None
    return_code: int | None
    attempt: int
    max_attempts: int
    next_attempt_at: datetime | None
    queue: str
    priority: int
    worker: str | None
    soft_time_limit: float
    time_limit: float
    created_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    cancel_requested_at: datetime | None
    duration: float | None
    output_files: list[str]

    @classmethod
    def of(cls, detail: JobDetail) -> "JobView":
        """Show a job with what it left."""
        job, result = detail.job, detail.result
        return cls(
            job_id=str(job.id),
            task_id=str(job.id),
            celery_task_id=str(job.id),
            tool_name=job.tool_name,
            parameters=dict(job.parameters),
            status=job.status,
            reason=job.reason,
            message=job.message,
            progress=job.progress,
            progress_message=job.progress_message,
            output=result.output if result else None,
            output_bytes=result.output_bytes if result else None,
            # Clients of the Celery-based system take `null` for "nothing went wrong".
            error=(result.error or None) if result else None,
            error_bytes=result.error_bytes if result else None,
            left_out_lines=result.left_out_lines if result else None,
            return_code=job.return_code,
            attempt=job.attempt,
            max_attempts=job.max_attempts,
            next_attempt_at=job.next_attempt_at,
            queue=job.queue,
            priority=job.priority,
            worker=job.worker,
            soft_time_limit=job.soft_limit_seconds,
            time_limit=job.hard_limit_seconds,
            created_at=job.created_at,
            queued_at=job.queued_at,
            started_at=job.started_at,
            completed_at=job.completed_at,
            cancel_requested_at=job.cancel_requested_at,
            duration=job.duration_seconds,
            output_files=list(detail.artifact_names),
        )


class JobPage(BaseModel):
    """Some jobs, newest first; `next_cursor` leads to older ones, `null` at the end."""

    jobs: list[JobView]
    next_cursor: str | None


def _split(value: str | list[str]) -> list[str]:
    """Take `?status=a&status=b` and `?status=a,b` alike."""
    values = [value] if isinstance(value, str) else value
    return [part for each in values for part in each.split(",")]


class JobsQuery(BaseModel):
    """Which jobs are wanted."""

    model_config = ConfigDict(extra="forbid")

    status: Annotated[list[Status], BeforeValidator(_split)] = Field(default_factory=list[Status])
    # Without NUL, which PostgreSQL cannot even look for.
    tool: str | None = Field(default=None, max_length=200, pattern=r"^[^\x00]*$")
    cursor: str | None = None
    limit: int = Field(default=50, ge=1, le=200)


class LogsQuery(BaseModel):
    """Which lines are wanted."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(default=0, ge=0, le=2**31 - 1)
    limit: int = Field(default=1000, ge=1, le=10_000)


class CancelQuery(BaseModel):
    """How a running job is to be ended."""

    model_config = ConfigDict(extra="forbid")

    terminate: bool = False


async def list_jobs(request: ApiRequest) -> Response:
    """`GET /api/jobs`: newest first, page by page."""
    query = read_query(request, JobsQuery)
    async with request.state["database"].connect() as connection:
        found = await lookup.list_jobs(
            connection,
            statuses=query.status,
            tool_name=query.tool,
            behind=None if query.cursor is None else _read_cursor(query.cursor),
            most=query.limit + 1,
        )
    page, has_more = found[: query.limit], len(found) > query.limit
    return json_answer(
        JobPage(
            jobs=[JobView.of(detail) for detail in page],
            next_cursor=_cursor(page[-1]) if has_more else None,
        )
    )


class JobEndpoint(HTTPEndpoint):
    """`/api/jobs/{job_id}`: two methods at one address, so that `Allow` names both."""

    async def get(self, request: ApiRequest) -> Response:
        """Show one job with what it left."""
        async with request.state["database"].connect() as connection:
            detail = await lookup.get_detail(connection, _job_id(request))
        return json_answer(JobView.of(detail))

    async def delete(self, request: ApiRequest) -> Response:
        """Cancel the job; `?terminate=true` does not ask a running tool first."""
        query = read_query(request, CancelQuery)
        state, local = request.state, request.state["local"]
        job = await cancel(
            state["database"],
            state["broker"],
            _job_id(request),
            terminates=query.terminate,
            heed=local.heed if local else None,
        )
        message = f"Job {job.id} " + ("cancelled" if job.status.is_final else "is being stopped")
        return json_answer({"job_id": str(job.id), "status": job.status, "message": message})


async def show_logs(request: ApiRequest) -> Response:
    """`GET /api/jobs/{job_id}/logs`: lines numbered above `after`, in order.

    Ask again with `after` = `next_after` for what came since. When `is_complete` is true there is
    no more, and never will be.
    """
    query = read_query(request, LogsQuery)
    async with request.state["database"].connect() as connection:
        # The job first: whatever it had printed when it was final is in the lines read next.
        job = await lookup.get_job(connection, _job_id(request))
        lines = await events.read_lines(connection, job.id, after=query.after, most=query.limit)
    return json_answer(
        {
            "job_id": str(job.id),
            "status": job.status,
            "progress": job.progress,
            "progress_message": job.progress_message,
            "lines": [
                {
                    "seq": line.seq,
                    "stream": line.stream,
                    "text": line.text,
                    "at": line.at,
                    "fence": line.fence,
                }
                for line in lines
            ],
            "next_after": lines[-1].seq if lines else query.after,
            "is_complete": job.status.is_final and len(lines) < query.limit,
        }
    )


def _job_id(request: ApiRequest) -> UUID:
    return request.path_params["job_id"]


def _cursor(last: JobDetail) -> str:
    place = f"{last.job.created_at.isoformat()} {last.job.id}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> Place:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        moment, _, job_id = text.partition(" ")
        # Without an offset it is nothing we wrote; taken as UTC it does no harm.
        return Place(datetime.fromisoformat(moment).astimezone(UTC), UUID(job_id))
    except (ValueError, OverflowError):
        message = "cursor: must be the next_cursor of a page"
        raise WrongRequestError(
            [Violation(("query", "cursor"), "cursor", message, cursor)]
        ) from None
