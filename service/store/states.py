"""The states of a job, and the table of every legal move between them.

        create            enqueue           claim             complete
    ──────────▶ pending ──────────▶ queued ──────────▶ running ──────────▶ completed
                   │  └──────────── claim ──────────────▶ │ ├── fail ─────▶ failed
                   │                  │  ◀── retry ────── │ │               (also: poison)
                   │                  │  ◀── release ──── │ └── stop ─────▶ cancelled
                   │                  │  ◀── rescue ───── │                  (also: abandon)
                   └──── revoke ──────┴──── revoke ───────┼───────────────▶ cancelled

Who may make a move, and the guard that its statement repeats, stands in `store/jobs.py`.
"""

from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class Status(StrEnum):
    """Where a job is. The six are those of the Celery system's clients."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """True when the job has ended and never changes again."""
        return self in FINAL


WAITING = frozenset({Status.PENDING, Status.QUEUED})
FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})


class Reason(StrEnum):
    """Why a job moved; kept apart from where it is."""

    ERROR = "error"
    """The tool ended with another code than 0."""
    USAGE = "usage"
    """The tool refused its arguments (code 2)."""
    SIGNAL = "signal"
    """The tool was killed by a signal the service did not send."""
    OUT_OF_MEMORY = "out_of_memory"
    """The kernel killed the tool for its memory."""
    SOFT_TIME_LIMIT = "soft_time_limit"
    """The tool was asked to stop at its soft limit, and did."""
    HARD_TIME_LIMIT = "hard_time_limit"
    """The tool was killed at its hard limit."""
    WORKER_LOST = "worker_lost"
    """The worker's lease ran out under the job."""
    SHUTDOWN = "shutdown"
    """The worker was stopped and handed the job back."""
    CANCELLED = "cancelled"
    """Somebody cancelled the job."""


class Move(StrEnum):
    """A change of status that has a name."""

    ENQUEUE = "enqueue"
    CLAIM = "claim"
    COMPLETE = "complete"
    FAIL = "fail"
    RETRY = "retry"
    STOP = "stop"
    REVOKE = "revoke"
    RESCUE = "rescue"
    POISON = "poison"
    ABANDON = "abandon"
    RELEASE = "release"


class Legal(NamedTuple):
    """From where a move may start, and where it ends."""

    sources: frozenset[Status]
    target: Status


_RUNNING = frozenset({Status.RUNNING})

MOVES = MappingProxyType(
    {
        Move.ENQUEUE: Legal(frozenset({Status.PENDING}), Status.QUEUED),
        Move.CLAIM: Legal(WAITING, Status.RUNNING),
        Move.COMPLETE: Legal(_RUNNING, Status.COMPLETED),
        Move.FAIL: Legal(_RUNNING, Status.FAILED),
        Move.RETRY: Legal(_RUNNING, Status.QUEUED),
        Move.STOP: Legal(_RUNNING, Status.CANCELLED),
        Move.REVOKE: Legal(WAITING, Status.CANCELLED),
        Move.RESCUE: Legal(_RUNNING, Status.QUEUED),
        Move.POISON: Legal(_RUNNING, Status.FAILED),
        Move.ABANDON: Legal(_RUNNING, Status.CANCELLED),
        Move.RELEASE: Legal(_RUNNING, Status.QUEUED),
    }
)
"""Every legal move. RESCUE, POISON and ABANDON are the three ends of losing a worker."""

EDGES = frozenset((source, legal.target) for legal in MOVES.values() for source in legal.sources)
"""Every legal pair of statuses; a trigger in the database refuses any other."""
