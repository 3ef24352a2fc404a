"""What a run will do, drawn from its seed before it begins: the same seed, the same plan."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    """A way of hurting the service."""

    WORKER_KILLED = "worker killed"
    WORKER_DEPLOYED = "worker deployed"
    """SIGTERM; its successor starts when it has ended."""
    WORKER_STOPPED = "worker stopped"
    """SIGSTOP, and SIGCONT before its lease runs out."""
    WORKER_STOPPED_LONG = "worker stopped for longer than its lease"
    API_KILLED = "API killed"
    API_DEPLOYED = "API deployed"
    POSTGRES_KILLED = "PostgreSQL killed"
    BACKEND_KILLED = "PostgreSQL backend killed"
    VALKEY_KILLED = "Valkey killed"
    VALKEY_EMPTIED = "Valkey killed and its data deleted"
    VALKEY_FLUSHED = "Valkey flushed"
    WORKER_POSTGRES_CUT = "worker cut off from PostgreSQL"
    WORKER_POSTGRES_FROZEN = "worker's line to PostgreSQL silent"
    WORKER_POSTGRES_FROZEN_LONG = "worker's line to PostgreSQL silent for longer than its lease"
    WORKER_VALKEY_CUT = "worker cut off from Valkey"
    WORKER_VALKEY_FROZEN = "worker's line to Valkey silent"
    API_POSTGRES_CUT = "API cut off from PostgreSQL"
    API_POSTGRES_FROZEN = "API's line to PostgreSQL silent"
    API_VALKEY_CUT = "API cut off from Valkey"
    API_VALKEY_FROZEN = "API's line to Valkey silent"


LONG = frozenset({Fault.WORKER_STOPPED_LONG, Fault.WORKER_POSTGRES_FROZEN_LONG})
"""Faults that outlast a lease: somebody else will take the jobs over meanwhile."""


@dataclass(frozen=True, slots=True)
class Step:
    """One fault of a plan."""

    at_seconds: float
    """After the first post."""
    fault: Fault
    target: int
    """Which of the processes of its kind, counted round."""
    seconds: float
    """How long it lasts, or how long the killed stay dead; in leases for those of `LONG`."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One job of a plan."""

    at_seconds: float
    tool: str
    tool_seconds: float
    priority: int
    cancel_after_seconds: float | None
    """From its acceptance; None when nobody cancels it."""
    terminates: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole run."""

    seed: int
    seconds: float
    steps: Sequence[Step]
    postings: Sequence[Posting]


TOOLS = {
    "brief": 52,
    "lasting": 3,
    "chatty": 5,
    "failing": 10,
    "refusing": 10,
    "forking": 10,
    "deaf": 10,
}
"""The test tools, and how many of a hundred jobs are for each."""

_TOOL_SECONDS = (0.0, 0.3)
_LASTING_SECONDS = (3.0, 7.0)
"""Longer than a lease, so that a job can be taken over while it still runs."""

LONGEST_FAULT_SECONDS = 1.2

_LEASES = (1.3, 2.0)
_CANCELLED_SHARE = 0.1
_LONGEST_CANCEL_SECONDS = 0.8


def make_plan(
    seed: int, *, jobs: int, seconds: float, each: int, without: Collection[Fault] = ()
) -> Plan:
    """Draw a plan: *jobs* posted over *seconds*, and *each* kind of fault so many times meanwhile.

    Each kind is spread evenly, so that none comes in one heap.
    """
    random = Random(seed)  # noqa: S311  # To be repeated is what it is for.
    return Plan(
        seed=seed,
        seconds=seconds,
        steps=sorted(
            (
                _draw_step(random, fault, seconds, place / each, each)
                for fault in Fault
                if fault not in without
                for place in range(each)
            ),
            key=lambda step: step.at_seconds,
        ),
        postings=sorted(
            (_draw_posting(random, seconds) for _ in range(jobs)),
            key=lambda posting: posting.at_seconds,
        ),
    )


def _draw_step(random: Random, fault: Fault, seconds: float, share: float, each: int) -> Step:
    return Step(
        at_seconds=seconds * (share + random.random() / each),
        fault=fault,
        target=random.randrange(1000),
        seconds=random.uniform(*_LEASES)
        if fault in LONG
        else random.uniform(0, LONGEST_FAULT_SECONDS),
    )


def _draw_posting(random: Random, seconds: float) -> Posting:
    [tool] = random.choices(list(TOOLS), list(TOOLS.values()))
    seconds_of_tool = _LASTING_SECONDS if tool == "lasting" else _TOOL_SECONDS
    is_cancelled = random.random() < _CANCELLED_SHARE
    return Posting(
        at_seconds=random.uniform(0, seconds),
        tool=tool,
        tool_seconds=round(random.uniform(*seconds_of_tool), 3),
        priority=random.randint(1, 10),
        cancel_after_seconds=random.uniform(0, _LONGEST_CANCEL_SECONDS) if is_cancelled else None,
        terminates=random.random() < 0.5,
    )
