"""What a run has shown, as numbers: for people as a table, for machines as JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.checker import Violation
from tests.chaos.clients import Told
from tests.chaos.outcomes import Outcomes
from tests.chaos.plan import Fault, Plan
from tests.chaos.ticks import Overlap

_LOST = frozenset({"nothing accepted is lost", "no result is lost"})
_DOUBLE = frozenset({"one end", "silence after the end", "one start a claim"})


@dataclass(frozen=True, slots=True)
class Figures:
    """One run in numbers; `violations` is empty when every promise was kept."""

    seed: int
    jobs: int
    seconds: float
    settle_seconds: float
    faults: Mapping[str, int]
    by_status: Mapping[str, int]
    cancels_promised: int
    posts_put_off: int
    requests_broken_off: int
    post_p50_ms: float
    post_p99_ms: float
    surprises: Sequence[str]
    lost: int
    stuck: int
    double: int
    overlapping: int
    overlap_seconds: float
    takeovers: int
    takeover_p50_seconds: float
    takeover_p99_seconds: float
    lost_workers_of_jobs: int
    releases: int
    poisoned: int
    attempts_charged: int
    violations: list[Violation]

    def as_json(self) -> dict[str, Any]:
        """Return everything; violations as lines."""
        return {**asdict(self), "violations": [str(each) for each in self.violations]}

    def print_to(self, console: Console) -> None:
        """Print a table, the faults by kind, and every violation."""
        table = Table(title=f"seed {self.seed}", show_header=False)
        for name, value in asdict(self).items():
            if name == "faults":
                for fault, count in self.faults.items():
                    table.add_row(f"  {fault}", str(count))
            elif name == "by_status":
                for status, count in self.by_status.items():
                    table.add_row(f"  {status}", str(count))
            elif name not in {"violations", "surprises", "seed"}:
                shown = f"{value:.2f}" if isinstance(value, float) else str(value)
                table.add_row(name.replace("_", " "), shown)
        console.print(table)
        for each in (*self.surprises, *self.violations):
            console.print(str(each), style="red", markup=False, highlight=False)
        if not self.violations:
            console.print("every invariant holds", style="green")


def figures_of(
    *,
    plan: Plan,
    seconds: float,
    settle_seconds: float,
    faults: Counter[Fault],
    told: Told,
    outcomes: Outcomes,
    takeovers: Sequence[float],
    overlaps: Sequence[Overlap],
    violations: list[Violation],
) -> Figures:
    """Put the numbers together."""
    kinds = Counter(each.invariant for each in violations)
    replies = sorted(told.reply_seconds)
    return Figures(
        seed=plan.seed,
        jobs=len(told.accepted),
        seconds=seconds,
        settle_seconds=settle_seconds,
        faults={str(fault): faults[fault] for fault in Fault if faults[fault]},
        by_status=outcomes.by_status,
        cancels_promised=len(told.promised),
        posts_put_off=told.put_off,
        requests_broken_off=told.broken_off,
        post_p50_ms=_percentile(replies, 50) * 1000,
        post_p99_ms=_percentile(replies, 99) * 1000,
        surprises=told.surprises,
        lost=sum(kinds[name] for name in _LOST),
        stuck=kinds["all is settled"],
        double=sum(kinds[name] for name in _DOUBLE),
        overlapping=len(overlaps),
        overlap_seconds=sum(each.seconds for each in overlaps),
        takeovers=len(takeovers),
        takeover_p50_seconds=_percentile(takeovers, 50),
        takeover_p99_seconds=_percentile(takeovers, 99),
        lost_workers_of_jobs=outcomes.lost_workers,
        releases=outcomes.releases,
        poisoned=outcomes.poisoned,
        attempts_charged=outcomes.charged,
        violations=violations,
    )


def _percentile(values: Sequence[float], percent: int) -> float:
    if len(values) < 2:
        return values[0] if values else 0.0
    return quantiles(values, n=100, method="inclusive")[percent - 1]
