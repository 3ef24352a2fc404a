"""The numbered events of a job."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import events, jobs, lookup
from service.store.database import Database
from service.store.events import Stream
from tests.integration.store.making import FAILURE, SUCCESS, claimed, footprint

START = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Line:
    """A line a tool printed."""

    text: str
    stream: Stream = "stdout"
    at: datetime = START


async def test_every_line_has_a_number_of_its_own(connection: AsyncConnection) -> None:
    job = await claimed(connection)
    later: Literal["stderr"] = "stderr"
    batch = [Line("a"), Line("b", later, START + timedelta(milliseconds=40)), Line("c")]
    assert await events.append_lines(connection, job, batch) == 5
    lines = await events.read_lines(connection, job.id)
    assert [(line.seq, line.stream, line.text) for line in lines] == [
        (3, "stdout", "a"),
        (4, "stderr", "b"),
        (5, "stdout", "c"),
    ]
    assert lines[1].at == START + timedelta(milliseconds=40)


async def test_reading_goes_on_inside_a_batch(connection: AsyncConnection) -> None:
    job = await claimed(connection)
    await events.append_lines(connection, job, [Line(str(number)) for number in range(10)])
    page = await events.read_lines(connection, job.id, after=5, most=3)
    assert [line.seq for line in page] == [6, 7, 8]
    rest = await events.read_lines(connection, job.id, after=8)
    assert [line.seq for line in rest] == [9, 10, 11, 12]


async def test_progress_is_an_event_and_shows_in_the_row(connection: AsyncConnection) -> None:
    job = await claimed(connection)
    assert await events.append_progress(connection, job, percent=40.0, message="half") == 3
    now = await lookup.get_job(connection, job.id)
    assert (now.progress, now.progress_message) == (40.0, "half")
    assert [event.kind for event in await events.read(connection, job.id)] == [
        "status",
        "status",
        "progress",
    ]


async def test_who_lost_the_job_can_write_nothing_more(connection: AsyncConnection) -> None:
    job = await claimed(connection)
    await jobs.release(connection, job)
    before = await footprint(connection, job)
    assert await events.append_lines(connection, job, [Line("late")]) is None
    assert await events.append_progress(connection, job, percent=99.0, message=None) is None
    assert await footprint(connection, job) == before


async def test_nothing_is_written_behind_the_end(connection: AsyncConnection) -> None:
    job = await claimed(connection)
    await jobs.complete(connection, job, SUCCESS)
    assert await events.append_lines(connection, job, [Line("late")]) is None


async def test_writers_at_once_leave_no_hole(database: Database) -> None:
    """Numbers are given by the job's row: in order of commit, 1 to n, none twice."""
    async with database.connect() as connection:
        job = await claimed(connection)

    async def write(count: int) -> None:
        async with database.connect() as connection:
            for _ in range(10):
                await events.append_lines(connection, job, [Line("x")] * count)
                await events.append_progress(connection, job, percent=1.0, message=None)

    await asyncio.gather(*(write(count) for count in (1, 3, 7)))
    async with database.connect() as connection:
        await jobs.fail(connection, job, FAILURE)
        rows = await events.read(connection, job.id)
        last = (await lookup.get_job(connection, job.id)).last_seq
    numbers = [number for row in rows for number in range(row.seq, row.last_seq + 1)]
    assert numbers == list(range(1, last + 1))
    assert last == 2 + 10 * (1 + 3 + 7) + 30 + 1
