"""`GET /api/jobs/{job_id}/logs`: every line once, in order, and the end said when it is one."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import events, jobs, lookup
from service.store.events import Stream
from service.store.records import Job
from service.store.states import Status
from tests.integration.store.making import FAILURE, SUCCESS, claimed, job_in, somebody


@dataclass(frozen=True)
class Line:
    """A line a tool printed."""

    text: str
    stream: Stream = "stdout"
    at: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def page_of(client: AsyncClient, job_id: UUID, **query: int) -> dict[str, Any]:
    answer = await client.get(f"/api/jobs/{job_id}/logs", params=query)
    assert answer.status_code == 200
    return answer.json()


async def printed(connection: AsyncConnection, job: Job, count: int, of: int = 0) -> None:
    """Print *count* lines in batches of three, with progress between, numbered from *of*."""
    last: int | None = (await lookup.get_job(connection, job.id)).last_seq
    for start in range(of, of + count, 3):
        batch = [Line(f"line {number}") for number in range(start, min(start + 3, of + count))]
        assert last is not None
        last = await events.append_lines(connection, job, batch, after=last)
        assert last is not None
        last = await events.append_progress(connection, job, percent=1.0, message=None, after=last)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
async def test_pages_hold_every_line_once_in_order(
    client: AsyncClient, connection: AsyncConnection, limit: int
) -> None:
    """Wherever a page ends within a batch, and while the job goes on printing."""
    job = await claimed(connection)
    await printed(connection, job, 10)
    page = await page_of(client, job.id, limit=limit)
    lines = page["lines"]
    await printed(connection, job, 5, of=10)
    await jobs.complete(connection, job, SUCCESS)
    while not page["is_complete"]:
        page = await page_of(client, job.id, limit=limit, after=page["next_after"])
        assert len(page["lines"]) <= limit
        lines += page["lines"]
    assert [line["text"] for line in lines] == [f"line {number}" for number in range(15)]
    numbers = [line["seq"] for line in lines]
    assert numbers == sorted(set(numbers))


async def test_a_line_says_where_and_when_it_was_printed(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    job = await claimed(connection)
    await events.append_lines(connection, job, [Line("ä\x1b[1m", "stderr")], after=job.last_seq)
    page = await page_of(client, job.id)
    assert page["lines"] == [
        {
            "seq": 3,
            "stream": "stderr",
            "text": "ä\x1b[1m",
            "at": "2026-11-22T12:00:00+00:00",
            "fence": 1,
        }
    ]
    assert (page["job_id"], page["status"], page["next_after"]) == (str(job.id), "running", 3)


@pytest.mark.parametrize("status", Status)
async def test_the_end_is_said_when_the_job_has_ended(
    client: AsyncClient, connection: AsyncConnection, status: Status
) -> None:
    job = await job_in(connection, status)
    page = await page_of(client, job.id, after=7)
    assert (page["lines"], page["next_after"]) == ([], 7)
    assert page["is_complete"] is status.is_final


async def test_a_full_page_is_not_the_end(client: AsyncClient, connection: AsyncConnection) -> None:
    """What follows it is not known, even when nothing does."""
    job = await claimed(connection)
    await printed(connection, job, 3)
    await jobs.complete(connection, job, SUCCESS)
    page = await page_of(client, job.id, limit=3)
    assert page["is_complete"] is False
    assert (await page_of(client, job.id, after=page["next_after"]))["is_complete"] is True


async def test_a_job_that_will_be_tried_again_is_not_at_its_end(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    """Its lines of both attempts stay, told apart by the fence."""
    job = await claimed(connection)
    await printed(connection, job, 2)
    await jobs.retry(connection, job, FAILURE)
    assert (await page_of(client, job.id))["is_complete"] is False
    await connection.exec_driver_sql("UPDATE jobs SET next_attempt_at = now()")
    again = await jobs.claim(connection, job.id, somebody())
    assert again is not None
    await printed(connection, again, 1)
    await jobs.fail(connection, again, FAILURE)
    page = await page_of(client, job.id)
    assert [line["fence"] for line in page["lines"]] == [1, 1, 2]
    assert page["is_complete"] is True
