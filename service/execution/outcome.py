"""How a run ended, for the job's row and for people."""

import signal
from dataclasses import dataclass

from service.execution.process import Report
from service.execution.supervision import Cause, Course, SentSignal
from service.execution.tail import Tail
from service.store.states import Reason


@dataclass(frozen=True, slots=True)
class Outcome:
    """All there is to know of a run when nothing of it is left."""

    return_code: int | None
    """Exit code, or the negative number of the signal that killed the main process; 127 or 126
    when the tool is not there or cannot be run, 125 when it could not be isolated; None when it
    never came to that."""
    reason: Reason | None
    """None for success: exit code 0, and nothing asked the tool to stop."""
    message: str | None
    """One sentence for people; None for success."""
    duration_seconds: float
    output: Tail
    error: Tail
    signals: tuple[SentSignal, ...]
    """What the service sent, in order."""
    left_out_lines: int
    left_out_bytes: int
    """Output beyond the limit, which the sink was not told of."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits a run had, to be named in messages."""

    soft_seconds: float
    hard_seconds: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run's end means; the fields are those of Outcome."""

    return_code: int | None
    reason: Reason | None
    message: str | None


def judge(report: Report, course: Course, limits: Limits) -> Verdict:
    """Say what the end of a run means."""
    if report.refusal is not None:
        return Verdict(report.return_code, Reason.ERROR, report.refusal)
    code = report.return_code
    if code is None and course.was_killed:
        code = -signal.SIGKILL
    if course.cause is not None:
        return _judge_ended(code, course.cause, course, limits)
    if report.is_expired:
        return Verdict(code, Reason.WORKER_LOST, "The worker's lease was running out: killed")
    if code is None:
        return Verdict(None, Reason.ERROR, "The process that kept the tool was killed")
    return _judge_end(code)


def _judge_end(code: int) -> Verdict:
    if code < 0:
        return Verdict(code, Reason.SIGNAL, f"Killed by signal {_name_signal(-code)}")
    if code == 0:
        return Verdict(0, None, None)
    return Verdict(code, Reason.USAGE if code == 2 else Reason.ERROR, f"Exit code {code}")


def judge_unstarted(cause: Cause) -> Verdict:
    """Say what it means that a tool was to end before it had begun."""
    if cause is Cause.RELEASE:
        return Verdict(None, Reason.SHUTDOWN, "The worker was shut down before the tool started")
    return Verdict(None, Reason.CANCELLED, "Cancelled before the tool started")


def _judge_ended(code: int | None, cause: Cause, course: Course, limits: Limits) -> Verdict:
    end = "killed" if course.was_killed else _describe_end(code)
    was_asked = any(sent.name == "SIGTERM" for sent in course.signals)
    asked = "asked to stop, " if was_asked else ""
    match cause:
        case Cause.HARD_LIMIT:
            message = f"Still running at its hard limit of {limits.hard_seconds:g} s: killed"
            return Verdict(code, Reason.HARD_TIME_LIMIT, message)
        case Cause.SOFT_LIMIT:
            reached = f"Still running at its soft limit of {limits.soft_seconds:g} s"
            return Verdict(code, Reason.SOFT_TIME_LIMIT, f"{reached}: {asked}{end}")
        case Cause.CANCEL:
            return Verdict(code, Reason.CANCELLED, f"Cancelled: {asked}{end}")
        case Cause.RELEASE:
            return Verdict(code, Reason.SHUTDOWN, f"The worker was shut down: {asked}{end}")


def _describe_end(code: int | None) -> str:
    if code is None:
        return "ended"
    if code < 0:
        return f"ended by signal {_name_signal(-code)}"
    return f"ended with exit code {code}"


def _name_signal(number: int) -> str:
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:  # Most real-time signals have no name.
        return str(number)
