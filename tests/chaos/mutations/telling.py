"""Plays around what a tool says, when it is heard late, twice, or after the end."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import events, jobs
from service.store.events import Stream
from service.store.records import Job
from tests.chaos.mutations.scene import Play, Scene
from tests.integration.store.making import SUCCESS, somebody


@dataclass(frozen=True)
class _Line:
    stream: Stream
    text: str
    at: datetime


async def _say(connection: AsyncConnection, job: Job, *, after: int) -> int | None:
    line = _Line("stdout", f"{job.id}:{job.fence} says", datetime.now(UTC))
    return await events.append_lines(connection, job, [line], after=after)


async def _progress(connection: AsyncConnection, job: Job, *, after: int) -> int | None:
    return await events.append_progress(connection, job, percent=50.0, message=None, after=after)


_Tell = Callable[..., Awaitable[int | None]]


async def late_word(tell: _Tell, scene: Scene) -> None:
    """A worker that lost its job writes what its tool said, while another one runs it."""
    job = await scene.running(somebody("worker@late"))
    scene.end(job)
    [taken] = await scene.rescue()
    assert await scene.claim(taken, somebody("worker@second"))
    told = await tell(scene.connection, job, after=job.last_seq)
    scene.expect(what="a late word was stored", never=told)


async def word_after_the_end(tell: _Tell, scene: Scene) -> None:
    """A batch that was under way comes after the end."""
    job = await scene.running()
    scene.end(job)
    assert await jobs.complete(scene.connection, job, SUCCESS)
    await tell(scene.connection, job, after=job.last_seq)


async def word_said_again(tell: _Tell, scene: Scene) -> None:
    """A batch is sent again, because its answer got lost."""
    job = await scene.running()
    first = await tell(scene.connection, job, after=job.last_seq)
    again = await tell(scene.connection, job, after=job.last_seq)
    scene.expect(what="one word was stored twice", never=first != again)


_TELLS: Mapping[str, _Tell] = {
    "events._APPEND_LINES": _say,
    "events._APPEND_PROGRESS": _progress,
}
_BY_LABEL = {"fence": late_word, "status": word_after_the_end, "last_seq": word_said_again}

PLAYS: Mapping[str, Play] = {
    f"{statement} numbered.{label}": partial(play, tell)
    for statement, tell in _TELLS.items()
    for label, play in _BY_LABEL.items()
}
"""By the guard without which each goes wrong."""

BACKED: Mapping[str, tuple[str, ...]] = {
    f"{statement} numbered.{label}": (f"{statement} numbered.last_seq",)
    for statement in _TELLS
    for label in ("fence", "status")
}
"""What stands behind a guard: every move counts the job's numbers on."""
