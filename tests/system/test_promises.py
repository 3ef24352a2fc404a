"""What the service promises of every job it accepts, on the whole service as a user starts it."""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2 as httpx
import psutil
import pytest

from tests.chaos.checker import Violation, check
from tests.system.stacks import (
    RunningStack,
    is_alive,
    programs_in,
    running_stack,
    stack_folder,
    started_stack,
)
from tests.waiting import until


def client_of(stack: RunningStack) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=stack.url, timeout=30, trust_env=False)


async def post(client: httpx.AsyncClient, tool: str, **parameters: object) -> str:
    answer = await client.post("/api/run", json={"tool_name": tool, "parameters": parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()["job_id"]


async def job(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    answer = await client.get(f"/api/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def violations(
    stack: RunningStack, accepted: Sequence[str], *, is_settled: bool = False
) -> list[Violation]:
    """Return what is broken after all; others may use the service too."""
    url = stack.child("worker").environ()["DATABASE_URL"]
    ids = [UUID(job_id) for job_id in accepted]
    return await check(url, accepted=ids, others_may_exist=True, is_settled=is_settled)


def marks(folder: Path, name: str) -> Counter[str]:
    """Count the marks by job."""
    return Counter(line.split()[0] for line in (folder / name).read_text().splitlines())


@pytest.mark.timeout(300)
async def test_two_hundred_jobs_of_eight_clients_run_once_each(
    stack: RunningStack, tmp_path: Path
) -> None:
    """All are completed, none ran twice, and the events of none have a hole."""
    async with client_of(stack) as client:

        async def ask(count: int) -> list[str]:
            return [await post(client, "mark", folder=str(tmp_path)) for _ in range(count)]

        batches = await asyncio.gather(*(ask(25) for _ in range(8)))
        asked = [job_id for batch in batches for job_id in batch]

        async def all_ended() -> bool:
            pages = await client.get("/api/jobs?status=pending,queued,running&tool=mark&limit=1")
            return pages.json()["jobs"] == []

        await until(all_ended, what="200 jobs to end", within=240)
        ended = [await job(client, job_id) for job_id in asked]
    assert len(set(asked)) == 200
    assert {each["status"] for each in ended} == {"completed"}
    assert {each["attempt"] for each in ended} == {1}
    assert marks(tmp_path, "started") == marks(tmp_path, "ended") == Counter(asked)
    assert await violations(stack, asked) == []


@pytest.mark.timeout(180)
async def test_a_killed_service_leaves_no_process_and_loses_no_job(tmp_path: Path) -> None:
    """The next start works on the same data: what ran runs again, what waited runs too."""
    with stack_folder() as folder:
        with started_stack(folder, DATA20_CONCURRENCY="1") as stack:
            async with client_of(stack) as client:
                running = await post(client, "mark", folder=str(tmp_path), seconds=600)
                await until((tmp_path / "started").exists, what="the tool to start", within=30)
                waiting = await post(client, "mark", folder=str(tmp_path))
                done = await job(client, running)
                assert done["status"] == "running"
            family = psutil.Process(stack.process.pid).children(recursive=True)
            stack.process.kill()
            await until(
                lambda: not [each for each in family if is_alive(each)] and not programs_in(folder),
                what="every process to be gone",
                within=15,
            )
        with started_stack(folder, DATA20_CONCURRENCY="1") as stack:
            async with client_of(stack) as client:

                async def again() -> bool:
                    return (await job(client, running))["attempt"] == 1 and marks(
                        tmp_path, "started"
                    )[running] == 2

                await until(again, what="the killed job to run again", within=30)
                assert (await client.delete(f"/api/jobs/{running}?terminate=true")).is_success

                async def both_ended() -> bool:
                    states = [(await job(client, each))["status"] for each in (running, waiting)]
                    return states == ["cancelled", "completed"]

                await until(both_ended, what="both jobs to end", within=30)
                assert await violations(stack, [running, waiting], is_settled=True) == []


@pytest.mark.timeout(120)
async def test_a_killed_worker_is_replaced_and_its_job_runs_again(
    stack: RunningStack, tmp_path: Path
) -> None:
    """Its tool is gone at once; the worker that comes in its place takes the job back."""
    async with client_of(stack) as client:
        job_id = await post(client, "mark", folder=str(tmp_path), seconds=600)
        await until((tmp_path / "started").exists, what="the tool to start", within=30)
        tool = psutil.Process(_tool_process(stack))
        stack.child("worker").kill()
        await until(lambda: not is_alive(tool), what="the tool to die", within=2)
        await until(
            lambda: marks(tmp_path, "started")[job_id] == 2, what="the second run", within=30
        )
        now = await job(client, job_id)
        assert (now["status"], now["attempt"]) == ("running", 1)
        await client.delete(f"/api/jobs/{job_id}")

        async def stopped() -> bool:
            return (await job(client, job_id))["status"] == "cancelled"

        await until(stopped, what="the job to be cancelled", within=30)


@pytest.mark.timeout(120)
async def test_a_killed_api_comes_back_at_the_same_address(stack: RunningStack) -> None:
    """Its owner holds the socket: who connects meanwhile waits and is answered."""
    before = stack.child("api")
    before.kill()
    async with client_of(stack) as client:
        answer = await client.get("/health")
        assert answer.status_code == 200
    assert stack.child("api").pid != before.pid


@pytest.mark.timeout(180)
@pytest.mark.parametrize("program", ["valkey-server", "postgres"])
async def test_a_killed_server_comes_back_and_no_job_is_lost(program: str, tmp_path: Path) -> None:
    """Jobs accepted before, and those accepted while it was away, run."""
    with running_stack(DATA20_DISPATCH_SECONDS="0.5") as stack:
        async with client_of(stack) as client:
            job_ids = [await post(client, "mark", folder=str(tmp_path)) for _ in range(5)]
            [server] = [
                each
                for each in psutil.Process(stack.process.pid).children()
                if each.name() == program
            ]
            server.kill()

            async def accepted() -> bool:
                answer = await client.post(
                    "/api/run", json={"tool_name": "mark", "parameters": {"folder": str(tmp_path)}}
                )
                if answer.status_code != 200:
                    assert answer.status_code == 503, answer.text
                    return False
                job_ids.append(answer.json()["job_id"])
                return True

            await until(accepted, what="a job to be accepted again", within=30)

            async def all_completed() -> bool:
                answers = [await client.get(f"/api/jobs/{job_id}") for job_id in job_ids]
                return all(
                    each.is_success and each.json()["status"] == "completed" for each in answers
                )

            await until(all_completed, what="every job to be completed", within=60)
            assert await violations(stack, job_ids, is_settled=True) == []
    assert marks(tmp_path, "started") == Counter(job_ids)


def _tool_process(stack: RunningStack) -> int:
    """Return the process that runs `mark.py` under the worker."""
    for process in stack.child("worker").children(recursive=True):
        command = process.cmdline()
        if command[1:2] and os.path.basename(command[1]) == "mark.py":  # noqa: PTH119  # A string.
            return process.pid
    raise AssertionError("the tool is not running")
