"""Plays around ends: late ones, second ones, and ones that come after a cancel."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from service.store import jobs
from service.store.records import Job
from service.store.states import Move
from tests.chaos.mutations.scene import Play, Scene
from tests.integration.store.making import CANCELLED, FAILURE, SUCCESS, somebody

_ENDS: Mapping[str, Callable[..., Awaitable[Any]]] = {
    "jobs._ENDS[complete]": partial(jobs.complete, ending=SUCCESS),
    "jobs._ENDS[fail]": partial(jobs.fail, ending=FAILURE),
    "jobs._ENDS[retry]": partial(jobs.retry, ending=FAILURE),
    "jobs._ENDS[stop]": partial(jobs.stop, ending=CANCELLED),
    "jobs._RELEASE": jobs.release,
}


async def late_end(end: Callable[..., Awaitable[Job | None]], scene: Scene) -> None:
    """A worker that lost its job ends it, while another one runs it."""
    job = await scene.running(somebody("worker@late"))
    scene.end(job)
    [taken] = await scene.rescue()
    assert await scene.claim(taken, somebody("worker@second"))
    await end(scene.connection, job)


async def end_after_a_cancel(end: Callable[..., Awaitable[Job | None]], scene: Scene) -> None:
    """A worker ends a job in the moment after somebody was promised its cancel."""
    job = await scene.running()
    assert await jobs.request_cancel(scene.connection, job.id, terminates=False)
    scene.end(job)
    await end(scene.connection, job)


async def second_end(end: Callable[..., Awaitable[Job | None]], scene: Scene) -> None:
    """A worker ends a job that it has ended: the first answer got lost."""
    job = await scene.running()
    scene.end(job)
    assert await jobs.complete(scene.connection, job, SUCCESS)
    await end(scene.connection, job)


_BY_LABEL = {
    "fence": late_end,
    "cancel_requested_at": end_after_a_cancel,
    "status": second_end,
}
_WITHOUT_A_CANCEL = f"jobs._ENDS[{Move.STOP}]"
"""It is the end that a cancel asks for."""

PLAYS: Mapping[str, Play] = {
    f"{statement} moved.{label}": partial(play, end)
    for statement, end in _ENDS.items()
    for label, play in _BY_LABEL.items()
    if not (statement == _WITHOUT_A_CANCEL and label == "cancel_requested_at")
}
"""By the guard without which each goes wrong."""
