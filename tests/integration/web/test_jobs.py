"""`GET /api/jobs` and `GET /api/jobs/{job_id}`: what became of jobs."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import events, jobs
from service.store.records import NewArtifact
from service.store.states import Status
from tests.integration.store.making import FAILURE, NEW, SUCCESS, claimed, job_in
from tests.integration.web.problems import problem_in

KEYS = {
    *("job_id", "task_id", "celery_task_id", "tool_name", "parameters", "status", "reason"),
    *("progress", "output", "error", "return_code", "attempt", "max_attempts", "next_attempt_at"),
    *("queue", "priority", "worker", "created_at", "queued_at", "started_at", "completed_at"),
    *("duration", "output_files"),
}
MOMENTS = ("created_at", "queued_at", "started_at", "completed_at")


async def page_of(client: AsyncClient, **query: Any) -> dict[str, Any]:  # noqa: ANN401  # As many types as parameters.
    answer = await client.get("/api/jobs", params=query)
    assert answer.status_code == 200
    assert answer.json().keys() == {"jobs", "next_cursor"}
    return answer.json()


async def listed(client: AsyncClient, **query: Any) -> list[str]:  # noqa: ANN401  # As above.
    return [job["job_id"] for job in (await page_of(client, **query))["jobs"]]


async def test_no_jobs_are_an_empty_page(client: AsyncClient) -> None:
    assert await page_of(client) == {"jobs": [], "next_cursor": None}


async def test_jobs_are_listed_newest_first(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    made = [str((await jobs.create(connection, NEW)).id) for _ in range(3)]
    assert await listed(client) == made[::-1]


async def test_pages_hold_every_job_once_while_new_ones_arrive(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    made = [str((await jobs.create(connection, NEW)).id) for _ in range(7)]
    page = await page_of(client, limit=3)
    seen = [job["job_id"] for job in page["jobs"]]
    while page["next_cursor"]:
        await jobs.create(connection, NEW)
        page = await page_of(client, limit=3, cursor=page["next_cursor"])
        seen += [job["job_id"] for job in page["jobs"]]
    assert seen == made[::-1]


async def test_the_last_page_says_so(client: AsyncClient, connection: AsyncConnection) -> None:
    """Also when it is full."""
    for _ in range(4):
        await jobs.create(connection, NEW)
    first = await page_of(client, limit=2)
    second = await page_of(client, limit=2, cursor=first["next_cursor"])
    assert len(second["jobs"]) == 2
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    "query",
    ["?status=completed&status=queued", "?status=completed,queued", "?status=queued,completed"],
)
async def test_several_statuses_may_be_wanted(
    client: AsyncClient, connection: AsyncConnection, query: str
) -> None:
    made = {status: str((await job_in(connection, status)).id) for status in Status}
    content = (await client.get(f"/api/jobs{query}")).json()
    found = {job["job_id"] for job in content["jobs"]}
    assert found == {made[Status.COMPLETED], made[Status.QUEUED]}


async def test_one_tool_may_be_wanted(client: AsyncClient, connection: AsyncConnection) -> None:
    wanted = await jobs.create(connection, replace(NEW, tool_name="other"))
    await jobs.create(connection, NEW)
    assert await listed(client, tool="other") == [str(wanted.id)]
    assert await listed(client, tool="other", status="running") == []
    assert await listed(client, tool="' OR true --") == []


@pytest.mark.parametrize("status", Status)
async def test_a_job_has_all_keys_in_every_status(
    client: AsyncClient, connection: AsyncConnection, status: Status
) -> None:
    """Types are those that clients of the Celery-based system know."""
    made = await job_in(connection, status)
    job = (await client.get(f"/api/jobs/{made.id}")).json()
    assert (await page_of(client))["jobs"] == [job]
    assert job.keys() >= KEYS
    assert job["job_id"] == job["task_id"] == job["celery_task_id"] == str(made.id)
    assert (job["status"], job["tool_name"]) == (status, "sleep")
    assert job["parameters"] == {"seconds": 1}
    has_run = status in {Status.COMPLETED, Status.FAILED, Status.CANCELLED}
    assert isinstance(job["duration"], float if has_run else type(None))
    assert isinstance(job["return_code"], int if has_run else type(None))
    assert isinstance(job["output"], str if has_run else type(None))
    assert isinstance(job["error"], str | None)
    assert job["output_files"] == []
    for moment in MOMENTS:
        if job[moment] is not None:
            assert datetime.fromisoformat(job[moment]).utcoffset() == timedelta(0)
            assert job[moment].endswith("+00:00")
    assert (job["completed_at"] is not None) == has_run
    assert (job["worker"] is not None) == (status is Status.RUNNING)


async def test_a_job_shows_what_it_left(client: AsyncClient, connection: AsyncConnection) -> None:
    job = await claimed(connection)
    files = [
        NewArtifact(name, "text/plain", 1, "0" * 64, f"{job.id}/1/{name}")
        for name in ("b.txt", "a/ü.txt")
    ]
    ending = replace(SUCCESS, output="ä\n", output_bytes=3, artifacts=files)
    await jobs.complete(connection, job, ending)
    shown = (await client.get(f"/api/jobs/{job.id}")).json()
    assert (shown["output"], shown["output_bytes"], shown["error"]) == ("ä\n", 3, None)
    assert shown["output_files"] == ["a/ü.txt", "b.txt"]
    assert (shown["return_code"], shown["duration"], shown["attempt"]) == (0, 0.5, 1)


async def test_a_job_that_waits_for_its_next_attempt_says_until_when(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    job = await claimed(connection)
    await jobs.retry(connection, job, replace(FAILURE, error="Traceback", error_bytes=9))
    shown = (await client.get(f"/api/jobs/{job.id}")).json()
    assert (shown["status"], shown["reason"], shown["error"]) == ("queued", "error", "Traceback")
    assert (shown["attempt"], shown["max_attempts"]) == (1, 4)
    assert datetime.fromisoformat(shown["next_attempt_at"]).utcoffset() == timedelta(0)


async def test_progress_is_shown_while_a_job_runs(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    job = await claimed(connection)
    await events.append_progress(connection, job, percent=40.0, message="half", after=job.last_seq)
    shown = (await client.get(f"/api/jobs/{job.id}")).json()
    assert (shown["progress"], shown["progress_message"]) == (40.0, "half")


async def test_a_list_carries_only_the_ends_of_outputs(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    """The job itself has all that is kept of them."""
    short, long = "ä" * 1000, "[... 9 bytes left out ...]\n" + "x" * 64_000 + "end"
    shortened = "[...]\n" + long[-1000:]
    for output, error in [(long, short), (short, long)]:
        job = await claimed(connection)
        await jobs.complete(connection, job, replace(SUCCESS, output=output, error=error))
        alone = (await client.get(f"/api/jobs/{job.id}")).json()
        assert (alone["output"], alone["error"]) == (output, error)
    second, first = (await page_of(client))["jobs"]
    assert (first["output"], first["error"]) == (shortened, short)
    assert (second["output"], second["error"]) == (short, shortened)


@pytest.mark.parametrize("job_id", ["x", "1", "%00", "..", f"{uuid4()}x", str(uuid4())])
async def test_an_unknown_job_is_not_found(client: AsyncClient, job_id: str) -> None:
    for rest in ("", "/logs", "/artifacts", "/artifacts/a.txt"):
        problem_in(await client.get(f"/api/jobs/{job_id}{rest}"), 404)
    problem_in(await client.delete(f"/api/jobs/{job_id}"), 404)
