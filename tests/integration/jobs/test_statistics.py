"""Statistics: the figures of each tool, against the same ones computed by hand."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from service.jobs.cleanup import cleanup
from service.jobs.statistics import statistics
from service.store import statistics as store
from service.store.states import Status
from service.store.statistics import ToolStatistics
from service.store.tables import job_events, jobs
from tests.integration.jobs.aging import age
from tests.integration.jobs.worlds import World
from tests.integration.store.making import claimed, job_in

ENDS = [Status.COMPLETED, Status.COMPLETED, Status.FAILED, Status.CANCELLED]


@dataclass(frozen=True)
class Ended:
    """What one job was."""

    status: Status
    duration: float
    wait: float
    completed_at: datetime


async def _write(world: World, status: Status, chance: random.Random) -> Ended:
    """Write a job of the tool `sleep` that ended so, and say what it was."""
    ended = Ended(
        status,
        duration=round(chance.uniform(0, 100), 3),
        wait=round(chance.uniform(0, 10), 3),
        completed_at=datetime.now(UTC) - timedelta(seconds=chance.randrange(3600)),
    )
    started_at = ended.completed_at - timedelta(seconds=ended.duration)
    async with world.context.database.connect() as connection:
        job = await job_in(connection, status)
        await connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == job.id)
            .values(
                duration_seconds=ended.duration,
                created_at=started_at - timedelta(seconds=ended.wait),
                started_at=started_at,
                completed_at=ended.completed_at,
            )
        )
    return ended


async def _compute(world: World) -> list[ToolStatistics]:
    outcome = await statistics(world.context)
    async with world.context.database.connect() as connection:
        found = await store.list_all(connection)
    assert outcome.tools == len(found)
    return found


def _percentile(values: Sequence[float], fraction: float) -> float:
    """Interpolate between the two nearest, as PostgreSQL's percentile_cont does."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * fraction
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _expected(ended: Sequence[Ended]) -> dict[str, object]:
    durations = [each.duration for each in ended if each.status is not Status.CANCELLED]
    waits = [each.wait for each in ended]
    by_status = {
        status: [each.completed_at for each in ended if each.status is status] for status in ENDS
    }
    return {
        "runs": len(ended),
        "successes": len(by_status[Status.COMPLETED]),
        "failures": len(by_status[Status.FAILED]),
        "cancels": len(by_status[Status.CANCELLED]),
        "duration_min_seconds": min(durations),
        "duration_mean_seconds": pytest.approx(sum(durations) / len(durations)),
        "duration_p50_seconds": pytest.approx(_percentile(durations, 0.5)),
        "duration_p95_seconds": pytest.approx(_percentile(durations, 0.95)),
        "duration_max_seconds": max(durations),
        "wait_p50_seconds": pytest.approx(_percentile(waits, 0.5)),
        "wait_p95_seconds": pytest.approx(_percentile(waits, 0.95)),
        "last_run_at": max(each.completed_at for each in ended),
        "last_success_at": max(by_status[Status.COMPLETED]),
        "last_failure_at": max(by_status[Status.FAILED]),
    }


def _check(found: ToolStatistics, expected: dict[str, object]) -> None:
    assert {name: getattr(found, name) for name in expected} == expected


async def test_the_figures_are_those_computed_by_hand(world: World) -> None:
    chance = random.Random(20)  # noqa: S311  # Not a secret.
    ended = [await _write(world, chance.choice(ENDS), chance) for _ in range(41)]
    [found] = await _compute(world)
    assert found.tool_name == "sleep"
    _check(found, _expected(ended))


async def test_what_is_cleaned_up_still_counts(world: World) -> None:
    """All but the percentiles: those are of the jobs that are kept."""
    chance = random.Random(21)  # noqa: S311  # Not a secret.
    early = [await _write(world, chance.choice(ENDS), chance) for _ in range(15)]
    async with world.context.database.connect() as connection:
        ids = (await connection.execute(sa.select(jobs.c.id))).scalars().all()
    late = [await _write(world, chance.choice(ENDS), chance) for _ in range(15)]
    expected = _expected([*early, *late])
    _check((await _compute(world))[0], expected)

    async with world.context.database.connect() as connection:
        await connection.execute(
            sa.update(jobs)
            .where(jobs.c.id.in_(ids))
            .values(
                created_at=jobs.c.created_at - timedelta(hours=49),
                completed_at=jobs.c.completed_at - timedelta(hours=49),
            )
        )
    earlier = [
        Ended(each.status, each.duration, each.wait, each.completed_at - timedelta(hours=49))
        for each in early
    ]
    assert (await cleanup(world.context)).jobs == len(early)
    [found] = await _compute(world)
    kept = _expected(late)
    ever = _expected([*earlier, *late])
    _check(found, {**ever, **{name: kept[name] for name in kept if "_p" in name}})


async def test_a_tool_all_of_whose_jobs_are_gone_keeps_its_counts(world: World) -> None:
    async with world.context.database.connect() as connection:
        job = await job_in(connection, Status.COMPLETED)
    await age(world, job, hours=49)
    await cleanup(world.context)
    [found] = await _compute(world)
    assert (found.runs, found.successes, found.duration_max_seconds) == (1, 1, 0.5)
    assert (found.duration_p50_seconds, found.wait_p95_seconds) == (None, None)


async def test_only_jobs_that_have_ended_count(world: World) -> None:
    async with world.context.database.connect() as connection:
        for status in (Status.PENDING, Status.QUEUED, Status.RUNNING):
            await job_in(connection, status)
    assert await _compute(world) == []


async def test_a_wait_that_was_asked_for_is_none(world: World) -> None:
    """Neither the delay between two attempts nor one that the client wished is the queue's."""
    async with world.context.database.connect() as connection:
        put_off, retried = [await claimed(connection) for _ in range(2)]
        await connection.execute(
            sa.update(job_events)
            .where(job_events.c.job_id == put_off.id, job_events.c.seq == 1)
            .values(data=job_events.c.data.op("||")({"next_attempt_at": "2026-01-01T00:00:00Z"}))
        )
        await connection.execute(sa.update(jobs).where(jobs.c.id == retried.id).values(fence=2))
        await connection.execute(
            sa.update(jobs).values(
                status="completed", completed_at=sa.func.now(), worker=None, worker_id=None
            )
        )
    [found] = await _compute(world)
    assert (found.runs, found.wait_p50_seconds) == (2, None)
