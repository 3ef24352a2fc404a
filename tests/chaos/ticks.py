"""What test tools write down of their own life, and what that must agree with.

Each run of a test tool has a file `JOB:FENCE` outside its workspace. Whatever runs there appends a
line `WORD MOMENT` every few milliseconds: `start` once, `tick` while it lives, `end` when it means
to end well. Moments are seconds on CLOCK_BOOTTIME, the same for all processes of the host.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a tool, as its file tells."""

    job_id: UUID
    fence: int
    first: float
    last: float
    """The last sign of life, of whichever process of its tree."""
    starts: int
    is_ended: bool


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two runs of one job that were alive at one time."""

    job_id: UUID
    fences: tuple[int, int]
    seconds: float


def read_runs(folder: Path) -> list[Run]:
    """Return every run that left a file in *folder*."""
    return [run for run in map(_read, folder.iterdir()) if run is not None]


def find_overlaps(runs: Iterable[Run]) -> list[Overlap]:
    """Return every pair of runs of one job of which one began before the other was gone."""
    found: list[Overlap] = []
    for of_job in _by_job(runs).values():
        ordered = sorted(of_job, key=lambda run: run.first)
        for place, later in enumerate(ordered):
            for earlier in ordered[:place]:
                if later.first < earlier.last:
                    seconds = min(earlier.last, later.last) - later.first
                    fences = (earlier.fence, later.fence)
                    found.append(Overlap(later.job_id, fences, seconds))
    return found


def _by_job(runs: Iterable[Run]) -> Mapping[UUID, list[Run]]:
    grouped: defaultdict[UUID, list[Run]] = defaultdict(list)
    for run in runs:
        grouped[run.job_id].append(run)
    return grouped


def _read(path: Path) -> Run | None:
    job_id, _, fence = path.name.partition(":")
    # Whoever was killed while it wrote leaves half a line.
    lines = [line.split() for line in path.read_text().split("\n")[:-1]]
    if not lines:
        return None
    moments = [float(moment) for _, moment in lines]
    words = [word for word, _ in lines]
    return Run(
        job_id=UUID(job_id),
        fence=int(fence),
        first=min(moments),
        last=max(moments),
        starts=words.count("start"),
        is_ended="end" in words,
    )
