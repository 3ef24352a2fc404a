"""What the API answers, as far as the command reads it."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict


class ToolJson(TypedDict):
    """One tool."""

    name: str
    title: str
    description: str
    category: str
    parameters: Mapping[str, Any]
    broken: bool
    reason: str | None
    notes: list[str]


class ToolsJson(TypedDict):
    """Every tool."""

    total: int
    tools: list[ToolJson]


class AcceptedJson(TypedDict):
    """A job that was accepted, or is being cancelled."""

    job_id: str
    status: str
    message: str
    next_attempt_at: NotRequired[str]


class JobJson(TypedDict):
    """One job."""

    job_id: str
    tool_name: str
    parameters: dict[str, Any]
    status: str
    reason: str | None
    message: str | None
    progress: float | None
    progress_message: str | None
    return_code: int | None
    attempt: int
    max_attempts: int
    next_attempt_at: str | None
    queue: str
    worker: str | None
    created_at: str
    started_at: str | None
    completed_at: str | None
    duration: float | None
    output_files: list[str]


class JobsJson(TypedDict):
    """Some jobs, newest first."""

    jobs: list[JobJson]
    next_cursor: str | None


class LineJson(TypedDict):
    """One line a job printed."""

    seq: int
    stream: str
    text: str


class LogsJson(TypedDict):
    """The lines after a number, and where the job is."""

    status: str
    progress: float | None
    progress_message: str | None
    lines: list[LineJson]
    next_after: int
    is_complete: bool


class ArtifactJson(TypedDict):
    """A file a job left."""

    name: str
    size: int
    url: str


class ArtifactsJson(TypedDict):
    """Every file a job left."""

    artifacts: list[ArtifactJson]


class ReadyJson(TypedDict):
    """Whether jobs are accepted, and what is missing."""

    status: str
    workers: int
    checks: dict[str, str]
