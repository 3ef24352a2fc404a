"""Jobs that are in no database."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service.store.records import Job
from service.store.states import Status

JOB = Job(
    id=UUID(int=7),
    tool_name="echo",
    parameters={"text": "a"},
    status=Status.QUEUED,
    reason=None,
    message=None,
    progress=None,
    progress_message=None,
    queue="tools",
    priority=5,
    fence=0,
    attempt=0,
    max_attempts=4,
    retry_delay_seconds=60.0,
    losses=0,
    soft_limit_seconds=3300.0,
    hard_limit_seconds=3600.0,
    worker=None,
    worker_id=None,
    return_code=None,
    duration_seconds=None,
    last_seq=1,
    created_at=datetime(2026, 11, 22, 12, tzinfo=UTC),
    queued_at=None,
    next_attempt_at=None,
    started_at=None,
    completed_at=None,
    cancel_requested_at=None,
    cancel_terminates=False,
)


def job(**changes: Any) -> Job:  # noqa: ANN401  # As many types as columns.
    """Return a job that differs from JOB in *changes*."""
    return replace(JOB, **changes)
