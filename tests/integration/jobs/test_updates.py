"""What listeners of `job_updates` hear of a job, as those of the earlier system know it."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from service.execution.stop import StopKind
from service.queue.control import cancel
from service.queue.updates import CHANNEL
from tests.integration.jobs.worlds import QUICK, World
from tests.integration.queue.listening import listening
from tests.waiting import until

LEAVING = """
    from pathlib import Path

    Path("graph.html").write_text("<p>")
    Path("data.json").write_text("{}")
"""


@pytest.fixture
async def heard(redis_url: str) -> AsyncGenerator[list[Any]]:
    """Give all that was published so far."""
    async with listening(redis_url, CHANNEL) as heard:
        yield heard


async def _hear(heard: list[Any], count: int) -> list[Any]:
    await until(lambda: len(heard) >= count, what=f"{count} messages")
    return heard


async def test_of_a_success_its_files_and_its_duration_are_told(
    world: World, heard: list[Any]
) -> None:
    world.add_tool("leaving", LEAVING)
    job = await world.run(await world.submit("leaving"))
    assert await _hear(heard, 2) == [
        {"job_id": str(job.id), "status": "running", "worker": "worker@tests"},
        {
            "job_id": str(job.id),
            "status": "completed",
            "output_files": ["data.json", "graph.html"],
            "duration": job.duration_seconds,
        },
    ]
    assert isinstance(heard[1]["duration"], float)


async def test_of_a_success_without_files_the_list_is_empty(world: World, heard: list[Any]) -> None:
    world.add_tool("quick", QUICK)
    await world.run(await world.submit("quick"))
    assert (await _hear(heard, 2))[1]["output_files"] == []


async def test_a_retry_is_told_as_running_again_and_its_last_failure_with_its_error(
    world: World, heard: list[Any]
) -> None:
    world.add_tool("failing", "raise SystemExit(3)")
    job = await world.submit("failing", max_attempts=2, retry_delay_seconds=0.0)
    await world.run(job)
    await world.run(job)
    running = {"job_id": str(job.id), "status": "running", "worker": "worker@tests"}
    failed = {"job_id": str(job.id), "status": "failed", "error": "Exit code 3"}
    assert await _hear(heard, 3) == [running, running, failed]


async def test_a_cancel_is_told_once(world: World, heard: list[Any]) -> None:
    context = world.context
    job = await world.submit("quick")
    await cancel(context.database, context.broker, job.id, terminates=False)
    await world.run(job)
    assert await _hear(heard, 1) == [{"job_id": str(job.id), "status": "cancelled"}]


async def test_a_cancelled_run_is_told_as_running_and_then_cancelled(
    world: World, heard: list[Any]
) -> None:
    world.add_tool("slow", "import time; print('started', flush=True); time.sleep(600)")
    job = await world.submit("slow")
    delivery = await world.begin(job)
    context = world.context
    await cancel(context.database, context.broker, job.id, terminates=True)
    context.running[job.id].stop.request(StopKind.TERMINATE)
    await delivery
    assert await _hear(heard, 2) == [
        {"job_id": str(job.id), "status": "running", "worker": "worker@tests"},
        {"job_id": str(job.id), "status": "cancelled"},
    ]
