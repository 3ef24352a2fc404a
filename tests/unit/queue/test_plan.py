from pathlib import Path

import pytest

from service.config import Settings
from service.queue.plan import plan
from service.store.records import NewJob
from service.tools.options import Options
from service.tools.tool import Tool

SETTINGS = Settings(soft_time_limit=100, time_limit=200, max_retries=3, retry_delay=60)


def planned(**options: float | str) -> NewJob:
    """Return the plan for a tool that asks for *options*."""
    asked = Options(**options)  # pyright: ignore[reportArgumentType]  # Tests name real options.
    return plan(Tool("echo", Path("/echo.py"), "Echo", options=asked), {"a": 1}, SETTINGS)


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
