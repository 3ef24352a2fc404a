"""`data20 up` replaces a worker that has run enough, while a job runs on in the old one."""

from pathlib import Path

import pytest

from tests.system.stacks import is_alive, running_stack
from tests.system.test_promises import client_of, job, post
from tests.waiting import until


@pytest.mark.timeout(240)
async def test_the_worker_of_a_stack_is_replaced_under_its_job(tmp_path: Path) -> None:
    """Stopping the stack then drains both."""
    soon = {
        "DATA20_LEASE_SECONDS": "2",
        "DATA20_HEARTBEAT_SECONDS": "0.5",
        "DATA20_MAX_TASKS_PER_CHILD": "1",
        "DATA20_CONCURRENCY": "2",
        "DATA20_DRAIN_SECONDS": "1",
    }
    with running_stack(**soon) as stack:
        old = stack.child("worker")
        async with client_of(stack) as client:
            long = await post(client, "mark", folder=str(tmp_path), seconds=600)
            await until((tmp_path / "started").exists, what="the tool to start", within=30)
            await post(client, "mark", folder=str(tmp_path))

            def is_succeeded() -> bool:
                return len(stack.children("worker")) == 2

            await until(is_succeeded, what="the successor", within=60)
            after = await post(client, "mark", folder=str(tmp_path))

            async def is_done() -> bool:
                return (await job(client, after))["status"] == "completed"

            await until(is_done, what="a job after it", within=60)
            now = await job(client, long)
            assert (now["status"], now["attempt"]) == ("running", 1)
            assert is_alive(old)
