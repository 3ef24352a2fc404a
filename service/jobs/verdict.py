"""What an attempt's end means for its job. Pure."""

from service.store.records import Job
from service.store.states import Move, Reason

_FINAL_REASONS = frozenset({Reason.USAGE, Reason.SOFT_TIME_LIMIT, Reason.HARD_TIME_LIMIT})
"""Ends that another attempt would only repeat."""

_OURS = frozenset({Reason.SHUTDOWN, Reason.WORKER_LOST})
"""Ends that the tool had no part in: they cost it no attempt."""


def judge(job: Job, reason: Reason | None) -> Move:
    """Choose the move for a *job* whose attempt ended for *reason*; `None` is success."""
    if reason is None:
        return Move.COMPLETE
    if reason is Reason.CANCELLED:
        return Move.STOP
    if reason in _OURS:
        return Move.RELEASE
    if reason in _FINAL_REASONS or job.attempt >= job.max_attempts:
        return Move.FAIL
    return Move.RETRY
