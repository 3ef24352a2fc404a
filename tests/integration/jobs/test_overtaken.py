"""A worker whose job was taken away and claimed by somebody else: it stops, and leaves nothing."""

import asyncio

import pytest

from service.jobs.lease import heartbeat, sign_on
from service.store import jobs
from service.store.records import Job
from service.store.rescue import rescue_lost
from service.store.states import Status
from tests.integration.jobs.worlds import ENDLESS, GATED, World
from tests.integration.store.making import somebody

CHATTERING = """
    import time
    from pathlib import Path

    Path("left.txt").write_text("left behind")
    while True:
        print("still here", flush=True)
        time.sleep(0.01)
"""


async def _overtake(world: World, job: Job) -> Job:
    """Have somebody else hold the job, as after a rescue."""
    async with world.context.database.connect() as connection:
        mine = await world.read(job)
        assert await jobs.release(connection, mine) is not None
        taken = await jobs.claim(connection, job.id, somebody())
    assert taken is not None
    return taken


async def _check_untouched(world: World, taken: Job) -> None:
    assert await world.read(taken) == taken
    assert (await world.detail(taken)).artifact_names == ()
    assert world.kept_files() == []
    assert world.leftovers(taken) == []


async def test_the_tool_is_killed_when_it_says_something(world: World) -> None:
    world.add_tool("chattering", CHATTERING)
    job = await world.submit("chattering")
    delivery = await world.begin(job)
    taken = await _overtake(world, job)
    await asyncio.wait_for(delivery, 10)
    await _check_untouched(world, taken)


async def test_a_silent_tool_is_killed_at_the_next_heartbeat(world: World) -> None:
    """Killed, not asked: its successor may run already."""
    world.add_tool("endless", ENDLESS)
    await sign_on(world.context)
    job = await world.submit("endless")
    delivery = await world.begin(job)
    taken = await _overtake(world, job)
    await heartbeat(world.context)
    await asyncio.wait_for(delivery, 10)
    await _check_untouched(world, taken)


@pytest.mark.parametrize("is_silent", [True, False])
async def test_a_tool_that_ends_meanwhile_leaves_no_result(
    world: World, *, is_silent: bool
) -> None:
    source = GATED.replace('print("ended", flush=True)', "") if is_silent else GATED
    world.add_tool("gated", source)
    gate = world.folder / "gate"
    job = await world.submit("gated", {"gate": str(gate)})
    delivery = await world.begin(job)
    taken = await _overtake(world, job)
    gate.touch()
    await asyncio.wait_for(delivery, 10)
    assert (await world.detail(job)).result is None
    assert await world.lines(job) == ["started"]
    await _check_untouched(world, taken)


async def test_what_an_earlier_claim_kept_is_not_forgotten_with_it(world: World) -> None:
    """Artifacts are kept by fence: a late worker deletes its own copies only."""
    world.add_tool("gated", GATED)
    gate = world.folder / "gate"
    job = await world.submit("gated", {"gate": str(gate)})
    delivery = await world.begin(job)
    taken = await _overtake(world, job)
    store, settings = world.context.artifacts, world.context.settings
    theirs = world.folder / "theirs"
    theirs.mkdir()
    (theirs / "other.txt").write_text("theirs")
    await store.collect(theirs, job.id, taken.fence, limit_bytes=settings.artifacts_limit_mb)
    gate.touch()
    await asyncio.wait_for(delivery, 10)
    assert world.kept_files() == ["other.txt"]


async def test_a_job_taken_away_and_not_yet_claimed_is_left_waiting(world: World) -> None:
    world.add_tool("chattering", CHATTERING)
    job = await world.submit("chattering")
    delivery = await world.begin(job)
    async with world.context.database.connect() as connection:
        [rescued] = await rescue_lost(connection, lease_seconds=0.001, max_losses=3)
    await asyncio.wait_for(delivery, 10)
    assert rescued.status is Status.QUEUED
    assert await world.read(job) == rescued
