"""What the rows mean to the rest of the house."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import sqlalchemy as sa

from service.store.states import Reason, Status


@dataclass(frozen=True, slots=True)
class Job:
    """A job's row, as it was when it was read."""

    id: UUID
    tool_name: str
    parameters: Mapping[str, Any]
    status: Status
    reason: Reason | None
    message: str | None
    progress: float | None
    progress_message: str | None
    queue: str
    priority: int
    fence: int
    attempt: int
    max_attempts: int
    retry_delay_seconds: float
    losses: int
    soft_limit_seconds: float
    hard_limit_seconds: float
    worker: str | None
    worker_id: UUID | None
    return_code: int | None
    duration_seconds: float | None
    last_seq: int
    created_at: datetime
    queued_at: datetime | None
    next_attempt_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    cancel_requested_at: datetime | None
    cancel_terminates: bool

    @classmethod
    def of(cls, row: sa.Row[Any]) -> Self:
        """Read a job from a row that has all columns of the table."""
        return cls.of_columns({name: getattr(row, name) for name in _JOB_COLUMNS})

    @classmethod
    def of_columns(cls, columns: Mapping[str, Any]) -> Self:
        """Read a job from all columns of the table, and any others."""
        values = {name: columns[name] for name in _JOB_COLUMNS}
        values["status"] = Status(values["status"])
        values["reason"] = values["reason"] and Reason(values["reason"])
        return cls(**values)


_JOB_COLUMNS = tuple(field.name for field in fields(Job))


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the dispatcher knows of a job that waits: enough to deliver it."""

    id: UUID
    fence: int
    queue: str
    priority: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a request asks for, with every default filled in.

    It is to start at *run_at*, or *delay_seconds* after it was written down, or at once.
    """

    tool_name: str
    parameters: Mapping[str, Any]
    queue: str
    priority: int
    max_attempts: int
    retry_delay_seconds: float
    soft_limit_seconds: float
    hard_limit_seconds: float
    delay_seconds: float | None = None
    run_at: datetime | None = None

    @property
    def is_immediate(self) -> bool:
        """True when nothing keeps it from starting at once."""
        return self.run_at is None and not self.delay_seconds


@dataclass(frozen=True, slots=True)
class Holder:
    """The worker that claims: people read its name, jobs belong to its id."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """A stored file that becomes an artifact when its job's move commits."""

    name: str
    media_type: str
    size: int
    sha256: str
    location: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended. `facts` go into the event as they are."""

    reason: Reason | None
    message: str | None
    return_code: int | None
    duration_seconds: float
    output: str = ""
    output_bytes: int = 0
    error: str = ""
    error_bytes: int = 0
    left_out_lines: int = 0
    artifacts: Sequence[NewArtifact] = ()
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Result:
    """What the latest attempt printed: the ends of both streams, and how much there was."""

    fence: int
    output: str
    output_bytes: int
    error: str
    error_bytes: int
    left_out_lines: int


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file a job left. `location` is its key in the artifact store."""

    id: UUID
    name: str
    media_type: str
    size: int
    sha256: str
    location: str
    created_at: datetime
