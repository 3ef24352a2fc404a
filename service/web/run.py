"""`POST /api/run`: a tool and its parameters become a job."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.queue.enqueue import submit
from service.queue.plan import plan
from service.store.states import Status
from service.tools.validation import validate
from service.web.answers import json_answer
from service.web.reading import read_body
from service.web.state import ApiRequest


class RunRequest(BaseModel):
    """What is to be run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tool_name: str = Field(min_length=1, max_length=200)
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])


class RunAnswer(BaseModel):
    """What became of the request, in the four keys the Celery-based system answered with."""

    job_id: str
    tool_name: str
    status: Status
    message: str


async def create_job(request: ApiRequest) -> Response:
    """Accept a job. Whatever is wrong with the request is said before anything is written."""
    asked = await read_body(request, RunRequest)
    state = request.state
    state["catalog"].refresh()
    tool = state["catalog"].get(asked.tool_name)
    parameters = validate(tool, asked.parameters)
    new = plan(tool, parameters, state["settings"])
    job = await submit(state["database"], state["broker"], new)
    return json_answer(
        RunAnswer(
            job_id=str(job.id),
            tool_name=job.tool_name,
            status=job.status,
            message=_message(job.tool_name, job.status, str(job.id)),
        )
    )


def _message(tool_name: str, status: Status, job_id: str) -> str:
    if status is Status.PENDING:
        return f"Tool {tool_name} accepted; it is queued as soon as the broker answers"
    return f"Tool {tool_name} queued for execution (Celery task: {job_id})"
