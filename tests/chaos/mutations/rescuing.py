"""Plays around the jobs of workers that are, or only seem to be, lost."""

from collections.abc import Mapping

from service.store import jobs
from service.store.records import Job
from tests.chaos.mutations.scene import LONG_LEASE, Play, Scene
from tests.integration.store.making import SUCCESS, somebody


async def _taken_over(scene: Scene, mine: Job, taken: list[Job]) -> None:
    """Have somebody run what was taken, while its first holder runs on."""
    for job in taken:
        await scene.claim(job, somebody("worker@second"))
    scene.live(mine)


async def rescue_from_the_living(scene: Scene) -> None:
    """Its worker has a good lease."""
    holder = await scene.signed_on("worker@alive", lease_seconds=60.0)
    job = await scene.running(holder)
    await _taken_over(scene, job, await scene.rescue())


async def rescue_on_a_young_server(scene: Scene) -> None:
    """Nobody could renew a lease while the server was down."""
    holder = await scene.signed_on("worker@alive", lease_seconds=-1.0)
    job = await scene.running(holder)
    await _taken_over(scene, job, await scene.rescue(lease_seconds=LONG_LEASE))


async def rescue_without_trust(scene: Scene) -> None:
    """Who could not renew its own lease regularly judges nobody by theirs."""
    holder = await scene.signed_on("worker@alive", lease_seconds=-1.0)
    job = await scene.running(holder)
    await _taken_over(scene, job, await scene.rescue(trusts_leases=False))


async def rescue_of_the_ended(scene: Scene) -> None:
    """The job has ended; its worker is gone."""
    job = await scene.running()
    scene.end(job)
    assert await jobs.complete(scene.connection, job, SUCCESS)
    await scene.rescue()


PLAYS: Mapping[str, Play] = {
    "rescue._RESCUE lost.status": rescue_of_the_ended,
    "rescue._RESCUE rescued.status": rescue_of_the_ended,
    "rescue._RESCUE lost.lease": rescue_from_the_living,
    "rescue._RESCUE rescued.lease": rescue_from_the_living,
    "rescue._RESCUE lease.lease_until": rescue_from_the_living,
    "rescue._RESCUE lease.pg_postmaster_start_time": rescue_on_a_young_server,
    "rescue._RESCUE lease.trusts_leases": rescue_without_trust,
}
"""By the guard without which each goes wrong."""

BACKED: Mapping[str, tuple[str, ...]] = {
    f"rescue._RESCUE {one}.{label}": (f"rescue._RESCUE {other}.{label}",)
    for one, other in (("lost", "rescued"), ("rescued", "lost"))
    for label in ("status", "lease")
}
"""What stands behind a guard: all goes well until that is taken away too."""
