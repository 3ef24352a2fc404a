"""Plays around what is deleted, and around runs by the clock."""

from collections.abc import Mapping
from datetime import timedelta

import sqlalchemy as sa

from service.store import cron_runs, idempotency, jobs, retention
from service.store.cron_runs import CronRun
from service.store.records import Holder
from tests.chaos.mutations.scene import LONG_LEASE, NO_LEASE, Play, Scene
from tests.integration.store.making import NEW, SUCCESS, somebody

_OLD = sa.text("UPDATE jobs SET created_at = created_at - interval '3 days' WHERE id = :job")
_RETENTION_HOURS = 48.0
_HOUR = timedelta(hours=1)
_SECOND = timedelta(seconds=1)


async def deletion_of_what_runs(scene: Scene) -> None:
    """A job was accepted days ago and still runs."""
    job = await scene.running()
    await scene.connection.execute(_OLD, {"job": job.id})
    gone = await retention.delete_jobs(scene.connection, [job.id], retention_hours=_RETENTION_HOURS)
    scene.expect(what="a job was deleted that has not ended", never=gone)


async def deletion_of_what_has_just_ended(scene: Scene) -> None:
    """A job was accepted days ago and has just ended."""
    job = await scene.running()
    scene.end(job)
    await jobs.complete(scene.connection, job, SUCCESS)
    await scene.connection.execute(_OLD, {"job": job.id})
    gone = await retention.delete_jobs(scene.connection, [job.id], retention_hours=_RETENTION_HOURS)
    scene.expect(what="a job was deleted that has just ended", never=gone)


async def deletion_of_a_young_key(scene: Scene) -> None:
    """A key was given a moment ago."""
    job = await jobs.create(scene.connection, NEW)
    request = idempotency.RequestKey("", "key", b"hash")
    await idempotency.take_key(scene.connection, request, job.id)
    gone = await idempotency.forget_old_keys(scene.connection)
    scene.expect(what="a key was forgotten that counts", never=gone)


async def _slot(scene: Scene, *, ago: timedelta) -> CronRun:
    now = await cron_runs.read_clock(scene.connection)
    run = await cron_runs.take(scene.connection, "chore", now - ago, following=now + _HOUR)
    assert run is not None
    return run


async def _begun(scene: Scene, holder: Holder, *, ago: timedelta = _SECOND) -> CronRun:
    run = await _slot(scene, ago=ago)
    begun = await cron_runs.claim(scene.connection, run.name, run.slot, holder)
    assert begun is not None
    return begun


async def _rescue(scene: Scene, *, lease_seconds: float, trusts_leases: bool) -> list[CronRun]:
    return await cron_runs.rescue_lost(
        scene.connection,
        lease_seconds=lease_seconds,
        limit_seconds=3600.0,
        max_attempts=10,
        trusts_leases=trusts_leases,
    )


async def two_begin_a_run(scene: Scene) -> None:
    """Two deliveries of one run."""
    run = await _slot(scene, ago=_SECOND)
    won = [
        await cron_runs.claim(scene.connection, run.name, run.slot, somebody(name))
        for name in ("worker@first", "worker@second")
    ]
    scene.expect(what="a run was begun twice", never=all(won))


async def second_end_of_a_run(scene: Scene) -> None:
    """A run is ended that has ended, and handed back."""
    run = await _begun(scene, somebody())
    await cron_runs.finish(scene.connection, run)
    ended = await cron_runs.finish(scene.connection, run, error="again")
    scene.expect(what="a run was ended twice", never=ended)
    back = await cron_runs.release(scene.connection, run, is_charged=True)
    scene.expect(what="a run was handed back after its end", never=back)


async def end_of_a_run_by_another(scene: Scene) -> None:
    """A run was handed back without its attempt, and begun by somebody else."""
    run = await _begun(scene, somebody("worker@late"))
    await cron_runs.release(scene.connection, run, is_charged=False)
    await cron_runs.claim(scene.connection, run.name, run.slot, somebody("worker@second"))
    back = await cron_runs.release(scene.connection, run, is_charged=True)
    scene.expect(what="somebody handed back what is another's", never=back)
    ended = await cron_runs.finish(scene.connection, run)
    scene.expect(what="somebody ended what is another's", never=ended)


async def end_of_an_earlier_attempt(scene: Scene) -> None:
    """A worker ends the attempt at a run that it has begun again since."""
    holder = somebody()
    run = await _begun(scene, holder)
    await cron_runs.release(scene.connection, run, is_charged=True)
    await cron_runs.claim(scene.connection, run.name, run.slot, holder)
    back = await cron_runs.release(scene.connection, run, is_charged=True)
    scene.expect(what="an earlier attempt handed the later one back", never=back)
    ended = await cron_runs.finish(scene.connection, run)
    scene.expect(what="an earlier attempt ended the later one", never=ended)


async def skip_of_what_runs(scene: Scene) -> None:
    """The next slot comes while the last one's run is under way."""
    run = await _begun(scene, somebody(), ago=timedelta(seconds=5))
    await _slot(scene, ago=_SECOND)
    ended = await cron_runs.finish(scene.connection, run)
    scene.expect(what="a run that was under way was skipped", never=ended is None)


async def rescue_of_an_ended_run(scene: Scene) -> None:
    """The run has ended; its worker is gone."""
    run = await _begun(scene, somebody())
    await cron_runs.finish(scene.connection, run)
    taken = await _rescue(scene, lease_seconds=NO_LEASE, trusts_leases=True)
    scene.expect(what="an ended run was taken from its worker", never=taken)


async def rescue_of_a_good_run(scene: Scene) -> None:
    """Its worker has a good lease."""
    await _begun(scene, await scene.signed_on("worker@alive", lease_seconds=60.0))
    taken = await _rescue(scene, lease_seconds=NO_LEASE, trusts_leases=True)
    scene.expect(what="a run was taken from a live worker", never=taken)


async def rescue_of_a_run_on_a_young_server(scene: Scene) -> None:
    """Nobody could renew a lease while the server was down."""
    await _begun(scene, await scene.signed_on("worker@alive", lease_seconds=-1.0))
    taken = await _rescue(scene, lease_seconds=LONG_LEASE, trusts_leases=True)
    scene.expect(what="a run was taken too soon after the server's start", never=taken)


async def rescue_of_a_run_without_trust(scene: Scene) -> None:
    """Who could not renew its own lease regularly judges nobody by theirs."""
    await _begun(scene, await scene.signed_on("worker@alive", lease_seconds=-1.0))
    taken = await _rescue(scene, lease_seconds=NO_LEASE, trusts_leases=False)
    scene.expect(what="a run was taken by somebody without a lease", never=taken)


PLAYS: Mapping[str, Play] = {
    "retention._JOBS gone.status": deletion_of_what_runs,
    "retention._JOBS all.status": deletion_of_what_runs,
    "retention._JOBS gone.completed_at": deletion_of_what_has_just_ended,
    "retention._JOBS all.completed_at": deletion_of_what_has_just_ended,
    "idempotency._FORGET old.created_at": deletion_of_a_young_key,
    "cron_runs._CLAIM all.status": two_begin_a_run,
    "cron_runs._FINISH all.status": second_end_of_a_run,
    "cron_runs._RELEASE all.status": second_end_of_a_run,
    "cron_runs._FINISH all.worker_id": end_of_a_run_by_another,
    "cron_runs._RELEASE all.worker_id": end_of_a_run_by_another,
    "cron_runs._FINISH all.attempt": end_of_an_earlier_attempt,
    "cron_runs._RELEASE all.attempt": end_of_an_earlier_attempt,
    "cron_runs._TAKE skipped.status": skip_of_what_runs,
    "cron_runs._RESCUE all.status": rescue_of_an_ended_run,
    "cron_runs._RESCUE all.lease": rescue_of_a_good_run,
    "cron_runs._RESCUE lease.lease_until": rescue_of_a_good_run,
    "cron_runs._RESCUE lease.pg_postmaster_start_time": rescue_of_a_run_on_a_young_server,
    "cron_runs._RESCUE lease.trusts_leases": rescue_of_a_run_without_trust,
}
"""By the guard without which each goes wrong."""

_GONE = ("retention._JOBS gone", "retention._JOBS all")
_COMPLETED = tuple(f"{part}.completed_at" for part in _GONE)
BACKED: Mapping[str, tuple[str, ...]] = {
    **{
        f"{one}.completed_at": (f"{other}.completed_at",) for one, other in (_GONE, reversed(_GONE))
    },
    **{
        f"{one}.status": (f"{other}.status", *_COMPLETED) for one, other in (_GONE, reversed(_GONE))
    },
}
"""What stands behind a guard; only what has ended has a moment of its end."""

IMPLIED: Mapping[str, str] = {
    "retention._JOBS gone.created_at": "who ended before the cutoff was created before it",
    "retention._JOBS all.created_at": "who ended before the cutoff was created before it",
    "cron_runs._TAKE skipped.slot": "a slot is taken only when there is no later one",
}
"""Clauses that follow from others and are there for an index, or for the reader."""
