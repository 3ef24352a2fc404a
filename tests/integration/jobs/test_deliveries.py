"""Deliveries that come twice, too early, or for nothing: harmless, every one."""

import asyncio
from uuid import uuid4

from structlog.testing import capture_logs

from service.store.states import Status
from tests.integration.jobs.worlds import GATED, QUICK, MakeWorld, World
from tests.integration.store.making import footprint
from tests.waiting import until

COUNTING = """
    import argparse, os

    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    with open(parser.parse_args().log, "a") as log:
        log.write(os.environ["DATA20_JOB_ID"] + "\\n")
"""


async def test_a_job_delivered_twice_at_once_runs_once(world: World) -> None:
    world.add_tool("counting", COUNTING)
    log = world.folder / "log"
    job = await world.submit("counting", {"log": str(log)})
    await asyncio.gather(*(world.deliver(job.id) for _ in range(5)))
    assert (await world.read(job)).status is Status.COMPLETED
    assert log.read_text().splitlines() == [str(job.id)]
    assert world.leftovers(job) == []


async def test_a_job_delivered_to_many_workers_runs_once(make_world: MakeWorld) -> None:
    worlds = [await make_world(worker_name=f"worker{number}@tests") for number in range(4)]
    worlds[0].add_tool("counting", COUNTING)
    log = worlds[0].folder / "log"
    expected = [await worlds[0].submit("counting", {"log": str(log)}) for _ in range(10)]
    await asyncio.gather(*(each.deliver(job.id) for job in expected for each in worlds))
    for job in expected:
        assert (await worlds[0].read(job)).fence == 1
    assert sorted(log.read_text().splitlines()) == sorted(str(job.id) for job in expected)


async def test_a_second_delivery_does_not_hide_the_first(world: World) -> None:
    """While the job runs here it can be stopped here, whatever else comes for it."""
    world.add_tool("gated", GATED)
    gate = world.folder / "gate"
    job = await world.submit("gated", {"gate": str(gate)})
    delivery = await world.begin(job)
    running = world.context.running[job.id]
    await world.deliver(job.id)
    assert world.context.running[job.id] is running
    gate.touch()
    await delivery
    assert (await world.read(job)).status is Status.COMPLETED


async def test_a_delivery_before_its_time_changes_nothing(world: World) -> None:
    world.add_tool("failing", "raise SystemExit(1)")
    job = await world.run(await world.submit("failing", retry_delay_seconds=60.0))
    async with world.context.database.connect() as connection:
        before = await footprint(connection, job)
        await world.deliver(job.id)
        assert await footprint(connection, job) == before


async def test_a_delivery_of_a_job_that_has_ended_changes_nothing(world: World) -> None:
    world.add_tool("quick", QUICK)
    job = await world.run(await world.submit("quick"))
    async with world.context.database.connect() as connection:
        before = await footprint(connection, job)
        await world.deliver(job.id)
        assert await footprint(connection, job) == before


async def test_a_delivery_of_an_unknown_job_is_logged(world: World) -> None:
    unknown = uuid4()
    with capture_logs() as logs:
        await world.deliver(unknown)
    assert [(each["event"], each["job_id"]) for each in logs] == [("not claimed", str(unknown))]
    assert world.context.running == {}


async def test_a_delivery_of_nonsense_is_logged_and_not_at_length(world: World) -> None:
    for nonsense in (None, 7, "x" * 10_000, {"id": 1}, ""):
        with capture_logs() as logs:
            await world.deliver(nonsense)
        [line] = logs
        assert line["event"] == "not the id of a job"
        assert len(line["given"]) <= 100


async def test_a_job_may_come_again_as_soon_as_it_is_no_longer_here(world: World) -> None:
    """Nothing of an earlier try stands in the way of the next one in the same worker."""
    world.add_tool("failing", "raise SystemExit(1)")
    job = await world.submit("failing", max_attempts=3, retry_delay_seconds=0.0)
    for attempt in (1, 2, 3):
        assert (await world.run(job)).attempt == attempt
    assert (await world.read(job)).status is Status.FAILED
    await until(lambda: not world.leftovers(job), what="everything to be gone")
