"""The one look at everything after a run: whether every invariant holds of every job.

violations = await check(database_url, accepted=job_ids, ticks=folder)
assert violations == []
"""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.chaos.invariants import INVARIANTS
from tests.chaos.ticks import Run, find_overlaps, read_runs
from tests.servers import postgres_client

LATE_SECONDS = 1.0
"""What a killed worker's tool may live on until the kernel has ended its tree."""

_MOST = 50
"""Violations of one kind that are worth reading."""

_ATTEMPTS = """
    SELECT job_id, fence, extract(epoch FROM at)::float8 AS claimed_at, ended_at, end_move FROM (
        SELECT job_id, fence, move, at,
               extract(epoch FROM lead(at) OVER job)::float8 AS ended_at,
               lead(move) OVER job AS end_move
        FROM job_transitions WINDOW job AS (PARTITION BY job_id ORDER BY seq)
    ) AS moves WHERE move = 'claim'
"""


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold."""

    invariant: str
    job_id: UUID | None
    detail: str

    def __str__(self) -> str:
        """Return it as a line."""
        return f"{self.invariant}: {self.job_id or 'all'}: {self.detail}"


async def check(
    url: str,
    *,
    accepted: Collection[UUID] | None = None,
    others_may_exist: bool = False,
    ticks: Path | None = None,
    is_settled: bool = True,
) -> list[Violation]:
    """Return what is broken in the database at *url*; an empty list is what everybody wants.

    *accepted* are the ids that clients were given: each must be there, and no other job, unless
    *others_may_exist* (a client whose answer got lost knows of no id). *ticks* is the folder in
    which test tools left their files. Without *is_settled*, jobs may still be on their way.
    """
    found: list[Violation] = []
    async with postgres_client(url) as connection:
        for each in INVARIANTS:
            if is_settled or not each.needs_settling:
                rows = await connection.fetch(f"{each.broken} LIMIT {_MOST}")
                found += [Violation(each.name, job_id, detail) for job_id, detail in rows]
        if accepted is not None:
            known = {row["id"] for row in await connection.fetch("SELECT id FROM jobs")}
            found += _compare_ids(set(accepted), known, others_may_exist=others_may_exist)
        if ticks is not None:
            found += _compare_runs(read_runs(ticks), await connection.fetch(_ATTEMPTS))
    return found


def _compare_ids(
    accepted: set[UUID], known: set[UUID], *, others_may_exist: bool
) -> Iterable[Violation]:
    for job_id in accepted - known:
        yield Violation("nothing accepted is lost", job_id, "the client has an id, nobody a job")
    if not others_may_exist:
        for job_id in known - accepted:
            yield Violation("nothing comes from nowhere", job_id, "no client was given this id")


def _compare_runs(runs: list[Run], attempts: Iterable[Any]) -> Iterable[Violation]:
    """Compare the lives of the tools with what the database says of their attempts."""
    for overlap in find_overlaps(runs):
        first, second = overlap.fences
        detail = f"fences {first} and {second} ran together for {overlap.seconds:.3f} s"
        yield Violation("one process tree at a time", overlap.job_id, detail)
    by_fence = {(run.job_id, run.fence): run for run in runs}
    to_epoch = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    for job_id, fence, claimed_at, ended_at, move in attempts:
        run = by_fence.pop((job_id, fence), None)
        if run is None:
            if move == "complete":
                yield Violation("who completed has run", job_id, f"fence {fence} never ran")
            continue
        if run.starts != 1:
            yield Violation("one start a claim", job_id, f"fence {fence}: {run.starts} starts")
        if move == "complete" and not run.is_ended:
            yield Violation("who completed has run", job_id, f"fence {fence} did not end well")
        if run.first + to_epoch < claimed_at - LATE_SECONDS:
            yield Violation("claimed, then run", job_id, f"fence {fence} ran before its claim")
        if ended_at is not None and run.last + to_epoch > ended_at + LATE_SECONDS:
            late = run.last + to_epoch - ended_at
            detail = f"fence {fence} was alive {late:.3f} s after its {move}"
            yield Violation("ended, then gone", job_id, detail)
    for job_id, fence in by_fence:
        yield Violation("claimed, then run", job_id, f"fence {fence} ran and was never claimed")
