"""Slots: what arq's entries mean, looked at from any moment."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from arq.cron import cron
from hypothesis import given, settings
from hypothesis import strategies as st

from service.queue.timetable import Entry, queue_of, read_timetable

YEAR_MICROSECONDS = 365 * 86_400 * 10**6


async def _nothing(ctx: dict[Any, Any], *_: Any, **__: Any) -> None: ...  # noqa: ANN401  # As arq calls it.


def entry(**when: Any) -> Entry:  # noqa: ANN401  # arq's own parameters.
    [made] = read_timetable([cron(_nothing, name="cleanup", microsecond=0, **when)])
    return made


SCHEDULES: Mapping[str, dict[str, Any]] = {
    "each second": {"second": None},
    "each minute": {"second": 0},
    "hourly": {"minute": 5},
    "daily": {"hour": 3, "minute": 20},
    "weekly": {"weekday": "mon", "hour": 0, "minute": 0},
}


@pytest.mark.parametrize("name", SCHEDULES)
@settings(max_examples=50, deadline=None, database=None)
@given(st.integers(min_value=0, max_value=20 * YEAR_MICROSECONDS))
def test_every_moment_lies_in_one_period(name: str, microseconds: int) -> None:
    """From a slot, included, to the next one, excluded; so every worker agrees on the slot."""
    moment = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    looked_at = entry(**SCHEDULES[name])
    slot = looked_at.latest(moment)
    following = looked_at.after(slot)
    assert slot <= moment < following
    assert looked_at.after(moment) == following
    assert looked_at.latest(slot) == slot
    assert looked_at.latest(following - timedelta(microseconds=1)) == slot


def test_slots_are_in_utc_whatever_zone_the_moment_is_told_in() -> None:
    there = datetime(2026, 3, 1, 1, 0, tzinfo=timezone(timedelta(hours=5)))
    assert entry(hour=3, minute=20).latest(there) == datetime(2026, 2, 28, 3, 20, tzinfo=UTC)


def test_maintenance_waits_behind_everything_else() -> None:
    assert [queue_of(each) for each in ("run_tool", "health_check", "cleanup", "statistics")] == [
        "tools",
        "default",
        "maintenance",
        "maintenance",
    ]
