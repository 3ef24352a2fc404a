"""Watches over a running tool: asks it to stop, and kills its tree, when it is time."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Literal

from service.execution.process import ToolProcess
from service.execution.stop import Stop, StopKind


class Cause(Enum):
    """Why the service ended a tool."""

    SOFT_LIMIT = auto()
    HARD_LIMIT = auto()
    CANCEL = auto()
    RELEASE = auto()


@dataclass(frozen=True, slots=True)
class SentSignal:
    """A signal the service sent: SIGTERM to the main process, or SIGKILL to the whole tree."""

    name: Literal["SIGTERM", "SIGKILL"]
    at: datetime


@dataclass(slots=True)
class Course:
    """How a run went, as far as the service had a hand in it."""

    cause: Cause | None = None
    """None when the tool ended by itself."""
    signals: list[SentSignal] = field(default_factory=list[SentSignal])

    @property
    def was_killed(self) -> bool:
        """True when the tree was killed rather than left to end."""
        return any(signal.name == "SIGKILL" for signal in self.signals)


async def supervise(
    process: ToolProcess, stop: Stop, *, soft_at: float, hard_at: float, grace_seconds: float
) -> Course:
    """Return when nothing of the tree is left.

    At *soft_at* (of the loop's clock), or when a stop asks for it, the main process is asked to
    stop; *grace_seconds* later, or at *hard_at* if that is earlier, the tree is killed.
    """
    course = Course()
    wake = asyncio.Event()
    process.on_gone(wake.set)
    stop.on_request(wake.set)
    deadline = min(soft_at, hard_at)
    while True:
        is_due = not await _is_woken(wake, deadline)
        wake.clear()  # Before looking, so that a change while we act wakes us again.
        if process.is_gone:
            return course
        is_hard = is_due and deadline >= hard_at
        course.cause = _find_cause(stop, course.cause, is_hard=is_hard)
        if stop.kind is StopKind.TERMINATE or is_hard or (is_due and course.signals):
            course.signals.append(SentSignal("SIGKILL", datetime.now(UTC)))
            await process.end()
            return course
        if not course.signals:
            course.signals.append(SentSignal("SIGTERM", datetime.now(UTC)))
            process.ask()
            deadline = min(asyncio.get_running_loop().time() + grace_seconds, hard_at)


async def _is_woken(wake: asyncio.Event, deadline: float) -> bool:
    """Wait for *wake*; False when the deadline came first."""
    try:
        async with asyncio.timeout_at(deadline):
            await wake.wait()
    except TimeoutError:
        return False
    return True


def _find_cause(stop: Stop, cause: Cause | None, *, is_hard: bool) -> Cause:
    """Why the tool must end now. Somebody's wish says more than a limit."""
    if stop.kind is not None:
        return Cause.RELEASE if stop.kind is StopKind.RELEASE else Cause.CANCEL
    return Cause.HARD_LIMIT if is_hard else cause or Cause.SOFT_LIMIT
