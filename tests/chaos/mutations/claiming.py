"""Plays around claims, deliveries and cancels of waiting jobs."""

from collections.abc import Mapping
from dataclasses import replace

import sqlalchemy as sa

from service.store import jobs, lookup, schedule
from service.store.next_job import claim_next
from service.store.records import Holder
from service.store.states import Status
from tests.chaos.mutations.scene import Play, Scene
from tests.integration.store.making import FAILURE, NEW, somebody

_UNWANTED = sa.text("UPDATE jobs SET cancel_requested_at = now() WHERE id = :job")
_COME_DUE = sa.text("UPDATE jobs SET deliver_at = now() WHERE id = :job")
_QUEUED_AT = sa.text("SELECT queued_at FROM jobs WHERE id = :job")
_QUEUES = ("tools",)


async def two_claim(scene: Scene) -> None:
    """Two deliveries of one job."""
    job = await scene.waiting()
    for name in ("worker@first", "worker@second"):
        await scene.claim(job, somebody(name))


async def claim_of_an_unwanted(scene: Scene) -> None:
    """A cancel was promised of a job that waits again, as no statement lets it be."""
    job = await scene.waiting()
    await scene.connection.execute(_UNWANTED, {"job": job.id})
    await scene.claim(job, somebody())
    await jobs.revoke(scene.connection, job.id)


async def early_claim(scene: Scene) -> None:
    """A delivery of an earlier attempt comes while the job waits for its next one."""
    job = await scene.running()
    await jobs.retry(scene.connection, job, FAILURE)
    scene.end(job)
    await scene.claim(job, somebody())


async def late_note_of_a_delivery(scene: Scene) -> None:
    """Who delivered says so when a worker has claimed the job already."""
    job = await scene.running()
    await jobs.mark_enqueued(scene.connection, job.id)


async def late_revoke(scene: Scene) -> None:
    """Somebody who saw the job waiting cancels it; a worker was faster."""
    job = await scene.running()
    await jobs.revoke(scene.connection, job.id)


async def wish_for_a_waiting_job(scene: Scene) -> None:
    """Somebody who saw the job running cancels it; it was handed back."""
    job = await scene.running()
    await jobs.release(scene.connection, job)
    scene.end(job)
    await jobs.request_cancel(scene.connection, job.id, terminates=False)


async def _owner(scene: Scene, lease_seconds: float = 60.0) -> Holder:
    return await scene.signed_on("worker@alone", lease_seconds=lease_seconds)


async def next_of_a_running_job(scene: Scene) -> None:
    """The first job of the queue runs already, another one waits."""
    await scene.running()
    await scene.waiting()
    await claim_next(scene.connection, await _owner(scene), _QUEUES)


async def next_of_an_unwanted(scene: Scene) -> None:
    """The first job of the queue waits although a cancel was promised, another one is wanted."""
    job = await scene.waiting()
    await scene.connection.execute(_UNWANTED, {"job": job.id})
    await scene.waiting()
    await claim_next(scene.connection, await _owner(scene), _QUEUES)
    await jobs.revoke(scene.connection, job.id)


async def next_before_its_time(scene: Scene) -> None:
    """The first job of the queue waits for its next attempt, another one is due."""
    early = await jobs.retry(scene.connection, await scene.running(), FAILURE)
    assert early is not None
    await scene.waiting()
    await claim_next(scene.connection, await _owner(scene), _QUEUES)


async def next_without_a_lease(scene: Scene) -> None:
    """A worker that lost its lease goes on asking."""
    job = await scene.waiting()
    late = await _owner(scene, lease_seconds=-1.0)
    won = await claim_next(scene.connection, late, _QUEUES)
    if won is not None:
        scene.begin(won)
        for taken in await scene.rescue():
            await scene.claim(taken, somebody("worker@second"))
        scene.live(won)
    else:
        await scene.claim(job, somebody("worker@second"))


async def next_of_another_queue(scene: Scene) -> None:
    """The only job waits in a queue that nobody asked for."""
    await jobs.create(scene.connection, replace(NEW, queue="maintenance"))
    won = await claim_next(scene.connection, await _owner(scene), _QUEUES)
    scene.expect(what="a job of another queue was taken", never=won)


async def next_of_what_is_left_out(scene: Scene) -> None:
    """The first job is here already, under an earlier claim; another one is not."""
    job = await scene.waiting()
    await scene.waiting()
    won = await claim_next(scene.connection, await _owner(scene), _QUEUES, besides=[job.id])
    scene.expect(what="a job that was left out was taken", never=won and won.id == job.id)


async def note_of_an_old_delivery(scene: Scene) -> None:
    """The dispatcher notes what it delivered before the job was claimed and handed back."""
    job = await scene.waiting()
    running = await scene.claim(job, somebody())
    assert running is not None
    scene.end(running)
    await jobs.release(scene.connection, running)
    await schedule.mark_delivered(scene.connection, [job])
    due = await schedule.list_due(scene.connection, most=10)
    scene.expect(what="a job counts as delivered that is not", never=not due)


async def note_of_what_runs(scene: Scene) -> None:
    """The dispatcher notes a delivery of a job that a worker has claimed since."""
    job = await scene.running()
    await scene.connection.execute(_COME_DUE, {"job": job.id})
    await schedule.mark_delivered(scene.connection, [job])


async def note_of_a_new_job(scene: Scene) -> None:
    """The dispatcher notes a delivery of a job whose API could not."""
    job = await jobs.create(scene.connection, NEW)
    await schedule.mark_delivered(scene.connection, [job])
    now = await lookup.get_job(scene.connection, job.id)
    scene.expect(what="a delivered job counts as not", never=now.status is Status.PENDING)


async def note_of_what_is_noted(scene: Scene) -> None:
    """Two dispatchers note one delivery."""
    job = await scene.waiting()
    before = (await scene.connection.execute(_QUEUED_AT, {"job": job.id})).scalar_one()
    await schedule.mark_delivered(scene.connection, [job])
    after = (await scene.connection.execute(_QUEUED_AT, {"job": job.id})).scalar_one()
    scene.expect(what="a delivery was noted twice", never=before != after)


PLAYS: Mapping[str, Play] = {
    "jobs._CLAIM moved.status": two_claim,
    "jobs._CLAIM moved.cancel_requested_at": claim_of_an_unwanted,
    "jobs._CLAIM moved.next_attempt_at": early_claim,
    "jobs._ENQUEUE moved.status": late_note_of_a_delivery,
    "jobs._REVOKE moved.status": late_revoke,
    "jobs._REQUEST_CANCEL requested.status": wish_for_a_waiting_job,
    "next_job._CLAIM_NEXT next.status": next_of_a_running_job,
    "next_job._CLAIM_NEXT moved.status": next_of_a_running_job,
    "next_job._CLAIM_NEXT next.cancel_requested_at": next_of_an_unwanted,
    "next_job._CLAIM_NEXT moved.cancel_requested_at": next_of_an_unwanted,
    "next_job._CLAIM_NEXT next.next_attempt_at": next_before_its_time,
    "next_job._CLAIM_NEXT moved.next_attempt_at": next_before_its_time,
    "next_job._CLAIM_NEXT next.lease": next_without_a_lease,
    "next_job._CLAIM_NEXT next.queue": next_of_another_queue,
    "next_job._CLAIM_NEXT next.id": next_of_what_is_left_out,
    "schedule._MARK due_yet.free.fence": note_of_an_old_delivery,
    "schedule._MARK due_yet.free.status": note_of_what_runs,
    "schedule._MARK due_yet.free.deliver_at": note_of_what_is_noted,
    "schedule._MARK enqueued.due_yet.status": note_of_what_runs,
    "schedule._MARK delivered.due_yet.status": note_of_a_new_job,
}
"""By the guard without which each goes wrong."""

_NEXT = "next_job._CLAIM_NEXT"
_MARK = "schedule._MARK"
BACKED: Mapping[str, tuple[str, ...]] = {
    **{
        f"{_NEXT} {one}.{label}": (f"{_NEXT} {other}.{label}",)
        for one, other in (("next", "moved"), ("moved", "next"))
        for label in ("status", "cancel_requested_at", "next_attempt_at")
    },
    f"{_MARK} due_yet.free.status": (f"{_MARK} enqueued.due_yet.status",),
    f"{_MARK} enqueued.due_yet.status": (f"{_MARK} due_yet.free.status",),
}
"""What stands behind a guard: all goes well until that is taken away too."""

IMPLIED: Mapping[str, str] = {
    f"{_MARK} {part}.{column}": "the row is locked since it was read, and cannot have changed"
    for part in ("enqueued", "delivered")
    for column in ("fence", "status")
}
"""Clauses that follow from others and are there for the reader."""
