from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.config import Settings
from service.errors import InvalidRequestError
from service.queue.plan import plan
from service.queue.wishes import Wishes
from service.store.records import NewJob
from service.tools.options import Options
from service.tools.tool import Tool

SETTINGS = Settings(soft_time_limit=100, time_limit=200, max_retries=3, retry_delay=60)


def echo(**options: float | str) -> Tool:
    """Return a tool that asks for *options*."""
    asked = Options(**options)  # pyright: ignore[reportArgumentType]  # Tests name real options.
    return Tool("echo", Path("/echo.py"), "Echo", options=asked)


def planned(**options: float | str) -> NewJob:
    """Return the plan for a tool that asks for *options*."""
    return plan(echo(**options), {"a": 1}, SETTINGS)


def wished(tool: Tool, **wishes: float | str | datetime) -> NewJob:
    """Return the plan for a request with *wishes*."""
    asked = Wishes(**wishes)  # pyright: ignore[reportArgumentType]  # Tests name real wishes.
    return plan(tool, {}, SETTINGS, asked)


def faults(tool: Tool, **wishes: float | str | datetime) -> dict[str | int, str]:
    """Return what is said of each wish that breaks a rule."""
    with pytest.raises(InvalidRequestError) as refusal:
        wished(tool, **wishes)
    return {each.loc[-1]: each.message for each in refusal.value.violations}


def test_a_tool_that_asks_for_nothing_gets_the_services_settings() -> None:
    assert planned() == NewJob(
        tool_name="echo",
        parameters={"a": 1},
        queue="tools",
        priority=5,
        max_attempts=4,
        retry_delay_seconds=60,
        soft_limit_seconds=100,
        hard_limit_seconds=200,
    )


def test_what_a_tool_asks_for_goes_before_the_settings() -> None:
    job = planned(
        queue="maintenance",
        priority=1,
        max_retries=0,
        retry_delay=0.5,
        soft_time_limit=10,
        time_limit=20,
    )
    assert (job.queue, job.priority) == ("maintenance", 1)
    assert (job.max_attempts, job.retry_delay_seconds) == (1, 0.5)
    assert (job.soft_limit_seconds, job.hard_limit_seconds) == (10, 20)


def test_a_tool_may_be_tried_more_often_than_the_service_would() -> None:
    assert planned(max_retries=9, retry_delay=600.0).max_attempts == 10


@pytest.mark.parametrize(
    ("asked", "soft", "hard"),
    [
        ({"soft_time_limit": 150}, 100, 200),
        ({"time_limit": 900}, 100, 200),
        ({"soft_time_limit": 900, "time_limit": 900}, 100, 200),
        ({"time_limit": 50}, 50, 50),
        ({"soft_time_limit": 60, "time_limit": 150}, 60, 150),
    ],
)
def test_no_limit_is_above_the_services_nor_soft_above_hard(
    asked: dict[str, int], soft: int, hard: int
) -> None:
    job = planned(**asked)
    assert (job.soft_limit_seconds, job.hard_limit_seconds) == (soft, hard)


def test_later_changes_of_what_was_sent_do_not_reach_the_plan() -> None:
    sent = {"a": 1}
    job = plan(Tool("echo", Path("/echo.py"), "Echo"), sent, SETTINGS)
    sent["a"] = 2
    assert job.parameters == {"a": 1}


def test_what_a_request_wishes_goes_before_what_its_tool_asks_for() -> None:
    tool = echo(queue="maintenance", priority=1, max_retries=0, retry_delay=0.5, time_limit=50)
    job = wished(
        tool,
        queue="default",
        priority=9,
        max_retries=7,
        retry_delay=0.0,
        time_limit=40.0,
        soft_time_limit=30.0,
        delay=5.0,
    )
    assert (job.queue, job.priority) == ("default", 9)
    assert (job.max_attempts, job.retry_delay_seconds) == (8, 0.0)
    assert (job.soft_limit_seconds, job.hard_limit_seconds) == (30, 40)
    assert job.delay_seconds == 5


def test_no_retries_may_be_wished_for() -> None:
    """Nothing is a number here, not the lack of one."""
    assert wished(echo(max_retries=5), max_retries=0).max_attempts == 1


@pytest.mark.parametrize(
    ("wishes", "soft", "hard"),
    [
        ({"time_limit": 50.0}, 50, 50),
        ({"time_limit": 200.0}, 100, 200),
        ({"soft_time_limit": 150.0}, 150, 200),
        ({"soft_time_limit": 50.0}, 50, 200),
        ({"soft_time_limit": 50.0, "time_limit": 50.0}, 50, 50),
    ],
)
def test_wished_limits_hold(wishes: dict[str, float], soft: float, hard: float) -> None:
    job = wished(echo(), **wishes)
    assert (job.soft_limit_seconds, job.hard_limit_seconds) == (soft, hard)


def test_a_limit_above_the_services_is_refused_with_the_rule() -> None:
    """Cut silently, it would kill a job whose client was told that it may run on."""
    said = faults(echo(), time_limit=201.0)
    assert said == {
        "time_limit": "time_limit: must be at most 200 seconds, the limit of this service"
    }


def test_a_limit_above_the_tools_own_is_refused_with_the_rule() -> None:
    tool = echo(time_limit=50, soft_time_limit=20)
    said = faults(tool, time_limit=51.0, soft_time_limit=21.0)
    assert said == {
        "time_limit": "time_limit: must be at most 50 seconds, the limit of tool echo",
        "soft_time_limit": (
            "soft_time_limit: must be at most 20 seconds, the soft limit of tool echo"
        ),
    }


@pytest.mark.parametrize(
    ("wishes", "bound"),
    [
        ({"soft_time_limit": 201.0}, 200),
        ({"soft_time_limit": 31.0, "time_limit": 30.0}, 30),
    ],
)
def test_a_soft_limit_above_the_hard_one_is_refused(wishes: dict[str, float], bound: float) -> None:
    expected = f"soft_time_limit: must be at most {bound} seconds, the hard limit"
    assert faults(echo(), **wishes) == {"soft_time_limit": expected}


def test_a_moment_and_a_delay_cannot_both_be_wished_for() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert faults(echo(), run_at=at, delay=0.0) == {
        "run_at": "run_at: give either delay or run_at, not both"
    }


def test_a_moment_too_far_ahead_is_refused() -> None:
    near, far = (datetime.now(UTC) + timedelta(days=days) for days in (364, 366))
    assert wished(echo(), run_at=near).run_at == near
    assert faults(echo(), run_at=far) == {"run_at": "run_at: must be at most a year ahead"}
