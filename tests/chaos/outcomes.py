"""Whether each job ended as its tool and its clients have it, whatever happened on the way."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.chaos.checker import Violation
from tests.chaos.clients import Told

READ = """
    SELECT id, tool_name, status, reason, attempt, max_attempts, losses,
           (SELECT count(*) FROM job_transitions WHERE job_id = id AND move = 'release') AS releases
    FROM jobs
"""
"""What is looked at of every job."""

_EXPECTED = {
    "brief": ("completed", None),
    "lasting": ("completed", None),
    "chatty": ("completed", None),
    "forking": ("completed", None),
    "deaf": ("completed", None),
    "failing": ("failed", "error"),
    "refusing": ("failed", "usage"),
}
_POISON = ("failed", "worker_lost")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How all jobs ended."""

    violations: list[Violation]
    by_status: Mapping[str, int]
    poisoned: int
    lost_workers: int
    releases: int
    charged: int
    """Attempts that jobs were charged beyond those their tools spent."""


def judge(rows: Iterable[Mapping[str, Any]], told: Told) -> Outcomes:
    """Compare the rows with what the tools do by themselves and what clients were told."""
    violations: list[Violation] = []
    by_status: dict[str, int] = {}
    poisoned = losses = releases = charged = 0
    for row in rows:
        end = (row["status"], row["reason"])
        by_status[row["status"]] = by_status.get(row["status"], 0) + 1
        losses += row["losses"]
        releases += row["releases"]
        poisoned += end == _POISON
        if end not in {_EXPECTED[row["tool_name"]], _POISON} and row["status"] != "cancelled":
            detail = f"{row['tool_name']} ended {row['status']}, {row['reason']}"
            violations.append(Violation("ends as its tool has it", row["id"], detail))
        spent = row["max_attempts"] if row["tool_name"] == "failing" else 1
        if row["status"] != "cancelled" and end != _POISON:
            charged += abs(row["attempt"] - spent)
            if row["attempt"] != spent:
                detail = f"{row['tool_name']} was charged {row['attempt']} attempts for {spent}"
                violations.append(Violation("charged what the tool spent", row["id"], detail))
        violations += _compare(row["id"], row["status"], told)
    return Outcomes(violations, by_status, poisoned, losses, releases, charged)


def _compare(job_id: UUID, status: str, told: Told) -> Iterable[Violation]:
    if status == "cancelled" and job_id not in told.asked_to_cancel:
        yield Violation("cancelled by a client", job_id, "nobody asked for it")
    if job_id in told.promised and status != "cancelled":
        yield Violation("cancelled by a client", job_id, f"promised, and yet {status}")
    if job_id in told.finished and status not in told.finished[job_id]:
        detail = f"{status}, and a client was told: {told.finished[job_id]}"
        yield Violation("what a client was told stays true", job_id, detail)
