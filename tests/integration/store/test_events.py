"""The numbered events of a job."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import events, jobs, lookup
from service.store.database import Database
from service.store.events import Stream
from tests.integration.store.making import CANCELLED, SUCCESS, claimed, footprint
from tests.waiting import until

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
    assert await events.append_lines(connection, job, batch, after=2) == 5
    lines = await events.read_lines(connection, job.id)
    assert [(line.seq, line.stream, line.text) for line in lines] == [
        (3, "stdout", "a"),
        (4, "stderr", "b"),
        (5, "stdout", "c"),
    ]
    assert lines[1].at == START + timedelta(milliseconds=40)


async def test_reading_goes_on_inside_a_batch(connection: AsyncConnection) -> None:
    job = await claimed(connection)
    batch = [Line(str(number)) for number in range(10)]
    assert await events.append_lines(connection, job, batch, after=2) == 12
    page = await events.read_lines(connection, job.id, after=5, most=3)
    assert [line.seq for line in page] == [6, 7, 8]
    rest = await events.read_lines(connection, job.id, after=8)
    assert [line.seq for line in rest] == [9, 10, 11, 12]


def last_of(numbers: list[int]) -> int:
    return numbers[-1] if numbers else 0


async def test_a_page_reads_no_more_rows_than_hold_its_lines(connection: AsyncConnection) -> None:
    """A row may hold thousands of lines; a page of a big log must not load the log."""
    job = await claimed(connection)
    last = job.last_seq
    for _ in range(4):
        number = await events.append_lines(connection, job, [Line("x")] * 100, after=last)
        assert number is not None
        last = number
    read: list[int] = []
    while page := await events.read_lines(
        connection, job.id, after=read[-1] if read else 0, most=70
    ):
        read += [line.seq for line in page]
    assert read == list(range(3, 403))


async def test_progress_is_an_event_and_shows_in_the_row(connection: AsyncConnection) -> None:
    job = await claimed(connection)
    assert 3 == await events.append_progress(connection, job, percent=40.0, message="half", after=2)
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
    last = before[0].last_seq
    assert await events.append_lines(connection, job, [Line("late")], after=last) is None
    assert (
        await events.append_progress(connection, job, percent=99.0, message=None, after=last)
        is None
    )
    assert await footprint(connection, job) == before


async def test_nothing_is_written_behind_the_end(connection: AsyncConnection) -> None:
    job = await claimed(connection)
    ended = await jobs.complete(connection, job, SUCCESS)
    assert ended is not None
    late = [Line("late")]
    assert await events.append_lines(connection, job, late, after=ended.last_seq) is None


async def test_a_batch_sent_again_is_stored_once(connection: AsyncConnection) -> None:
    """The answer to a commit can get lost; who asks again gets the same one."""
    job = await claimed(connection)
    batch = [Line("a"), Line("b")]
    assert await events.append_lines(connection, job, batch, after=2) == 4
    assert await events.append_lines(connection, job, batch, after=2) == 4
    for _ in range(2):
        number = await events.append_progress(connection, job, percent=1.0, message=None, after=4)
        assert number == 5
    assert (await lookup.get_job(connection, job.id)).last_seq == 5
    assert [line.text for line in await events.read_lines(connection, job.id)] == ["a", "b"]


async def test_lines_are_stored_behind_progress_whose_answer_was_lost(
    connection: AsyncConnection,
) -> None:
    """A tool that ends gives its last progress up; its last lines do not know of that number."""
    job = await claimed(connection)
    assert await events.append_progress(connection, job, percent=9.0, message=None, after=2) == 3
    for _ in range(2):
        assert await events.append_lines(connection, job, [Line("a"), Line("b")], after=2) == 5
    assert [line.text for line in await events.read_lines(connection, job.id)] == ["a", "b"]


async def test_a_batch_sent_again_waits_for_the_first_one(database: Database) -> None:
    """The first may still be under way in the server, on a connection that its sender lost."""
    async with database.connect() as connection:
        job = await claimed(connection)

    async def send_again() -> int | None:
        async with database.connect() as connection:
            return await events.append_lines(connection, job, [Line("a")], after=2)

    async with database.begin() as first:
        assert await events.append_lines(first, job, [Line("a")], after=2) == 3
        again = asyncio.create_task(send_again())
        async with database.connect() as connection:
            await until(partial(_is_waiting, connection), what="the second to wait for the first")
    assert await again == 3
    async with database.connect() as connection:
        assert len(await events.read_lines(connection, job.id)) == 1


async def test_a_wish_to_cancel_takes_a_number_and_no_line_is_lost(
    connection: AsyncConnection,
) -> None:
    job = await claimed(connection)
    await jobs.request_cancel(connection, job.id, terminates=False)
    await jobs.request_cancel(connection, job.id, terminates=True)
    for _ in range(2):
        assert await events.append_lines(connection, job, [Line("a")], after=2) == 5
    await jobs.request_cancel(connection, job.id, terminates=True)
    assert await events.append_lines(connection, job, [Line("b")], after=5) == 7


async def test_a_holder_and_a_canceller_at_once_leave_no_hole(database: Database) -> None:
    """Numbers are given by the job's row: in order of commit, 1 to n, none twice."""
    async with database.connect() as connection:
        job = await claimed(connection)

    async def write() -> None:
        last = job.last_seq
        async with database.connect() as connection:
            for count in range(1, 31):
                lines = [Line("x")] * count
                number = await events.append_lines(connection, job, lines, after=last)
                assert number is not None
                last = number

    async def ask() -> None:
        async with database.connect() as connection:
            for _ in range(10):
                await jobs.request_cancel(connection, job.id, terminates=False)

    await asyncio.gather(write(), ask(), ask(), ask())
    async with database.connect() as connection:
        await jobs.stop(connection, job, CANCELLED)
        rows = await events.read(connection, job.id)
        last = (await lookup.get_job(connection, job.id)).last_seq
    numbers = [number for row in rows for number in range(row.seq, row.last_seq + 1)]
    assert numbers == list(range(1, last + 1))
    assert last == 2 + sum(range(1, 31)) + 30 + 1


async def _is_waiting(connection: AsyncConnection) -> bool:
    """Tell whether some statement waits for another one's row."""
    found = await connection.execute(
        sa.text(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    )
    return bool(found.scalar_one())
