"""Keeping the timetable: each slot is run once, whoever is there, and whatever gets lost."""

import asyncio

import pytest

from service.errors import StoppingError, StoreUnavailableError
from service.store import cron_runs
from service.store.cron_runs import RunStatus
from tests.integration.jobs.chores import Chore, deliveries, move_back, runs
from tests.integration.jobs.worlds import MakeWorld, World
from tests.integration.web.serving import REFUSING
from tests.servers import redis_client
from tests.waiting import until

YEAR_SECONDS = 366 * 86_400
NO_REDIS = f"redis://{REFUSING}"


async def test_a_slot_that_four_workers_see_is_delivered_once(
    make_world: MakeWorld, redis_url: str
) -> None:
    chore = Chore()
    worlds = [await make_world(worker_name=f"worker-{number}") for number in range(4)]
    waits = await asyncio.gather(*(chore.keeper(world).tick() for world in worlds))
    [run] = await runs(worlds[0])
    assert (run.status, run.slot.month, run.slot.hour) == (RunStatus.WAITING, 1, 0)
    assert await deliveries(redis_url) == [f"cron:chore:{run.slot.isoformat()}:1"]
    assert all(0 < wait <= YEAR_SECONDS for wait in waits)


async def test_a_delivery_runs_its_slot_once(world: World) -> None:
    chore = Chore()
    await chore.keeper(world).tick()
    [run] = await runs(world)
    await asyncio.gather(*(chore.do(world, run) for _ in range(4)))
    [done] = await runs(world)
    assert chore.calls == 1
    assert (done.status, done.attempt, done.outcome) == (RunStatus.DONE, 1, {"calls": 1})
    assert done.worker == "worker@tests"


async def test_after_a_downtime_one_run_catches_up(world: World) -> None:
    chore = Chore()
    keeper = chore.keeper(world)
    await keeper.tick()
    [first] = await runs(world)
    await chore.do(world, first)
    await move_back(world, hours=50)
    for _ in range(3):
        await chore.keeper(world).tick()
    assert [run.slot for run in (await runs(world))[1:]] == [first.slot]


async def test_what_waited_through_a_downtime_is_not_run_besides(world: World) -> None:
    chore = Chore()
    await chore.keeper(world).tick()
    await move_back(world, hours=3)
    await chore.keeper(world).tick()
    early, late = await runs(world)
    assert (early.status, late.status) == (RunStatus.SKIPPED, RunStatus.WAITING)
    await chore.do(world, early)
    assert chore.calls == 0


async def test_a_slot_is_not_taken_twice_in_its_period(world: World) -> None:
    chore = Chore()
    keeper = chore.keeper(world)
    for _ in range(3):
        await keeper.tick()
    [run] = await runs(world)
    await chore.do(world, run)
    await chore.keeper(world).tick()
    assert len(await runs(world)) == 1


async def test_a_worker_that_drains_takes_no_slot(world: World) -> None:
    world.context.is_draining = True
    await Chore().keeper(world).tick()
    assert await runs(world) == []


async def test_a_worker_that_drains_past_a_slot_does_not_look_without_end(world: World) -> None:
    """A replaced worker may drain for an hour, and each minute has a slot."""
    keeper = Chore().keeper(world, second=set(range(60)), microsecond=0)
    wait = await keeper.tick()
    world.context.is_draining = True
    await asyncio.sleep(wait)  # Time itself has to pass here: the slot's moment is the store's.
    assert await keeper.tick() > 1


async def test_without_redis_the_winner_runs_it_itself(make_world: MakeWorld) -> None:
    chore = Chore()
    worlds = [
        await make_world(worker_name=f"worker-{number}", redis_url=NO_REDIS) for number in range(3)
    ]
    keepers = [chore.keeper(world) for world in worlds]
    await asyncio.gather(*(keeper.tick() for keeper in keepers))

    async def is_done() -> bool:
        return [run.status for run in await runs(worlds[0])] == [RunStatus.DONE]

    await until(is_done, what="the run")
    assert chore.calls == 1
    for keeper in keepers:
        await keeper.close()


async def test_without_redis_nobody_runs_what_he_does_not_serve(make_world: MakeWorld) -> None:
    chore = Chore()
    world = await make_world(redis_url=NO_REDIS, queues="tools,maintenance")
    keeper = chore.keeper(world)
    await keeper.tick()
    assert await keeper.recover() == 0
    assert [run.status for run in await runs(world)] == [RunStatus.WAITING]


async def test_a_delivery_lost_with_redis_is_made_again(
    make_world: MakeWorld, redis_url: str
) -> None:
    world = await make_world(dispatch_seconds=0.001)
    keeper = Chore().keeper(world)
    await keeper.tick()
    waiting = await deliveries(redis_url)
    assert await keeper.recover() == 0
    async with redis_client(redis_url, 1) as client:
        await client.flushdb()
    assert await keeper.recover() == 1
    assert await deliveries(redis_url) == waiting


async def test_a_run_of_a_killed_worker_is_made_again(world: World, redis_url: str) -> None:
    """Its row is gone: another worker has taken the name over, say."""
    chore = Chore()
    keeper = chore.keeper(world)
    await keeper.tick()
    [run] = await runs(world)
    async with world.context.database.connect() as connection:
        assert await cron_runs.claim(connection, run.name, run.slot, world.context.holder)
    assert await keeper.recover() == 1
    assert f"cron:chore:{run.slot.isoformat()}:2" in await deliveries(redis_url)
    [again] = await runs(world)
    await chore.do(world, again)
    [done] = await runs(world)
    assert (done.status, done.attempt, chore.calls) == (RunStatus.DONE, 2, 1)


async def test_a_chore_that_fails_says_why_and_spoils_no_later_slot(world: World) -> None:
    chore = Chore(ValueError("no such luck"))
    await chore.keeper(world).tick()
    [run] = await runs(world)
    await chore.do(world, run)
    [failed] = await runs(world)
    assert (failed.status, failed.error) == (RunStatus.FAILED, "ValueError: no such luck")
    await move_back(world, hours=2)
    await chore.keeper(world).tick()
    await chore.do(world, (await runs(world))[-1])
    assert [each.status for each in await runs(world)] == [RunStatus.FAILED, RunStatus.DONE]


async def test_a_chore_whose_worker_stops_is_handed_on(world: World) -> None:
    chore = Chore(StoppingError("stopping"))
    await chore.keeper(world).tick()
    [run] = await runs(world)
    await chore.do(world, run)
    [back] = await runs(world)
    assert (back.status, back.attempt, back.error) == (RunStatus.WAITING, 0, None)


async def test_a_chore_that_an_outage_breaks_off_is_begun_three_times(world: World) -> None:
    chore = Chore(*[StoreUnavailableError("PostgreSQL does not answer")] * 5)
    await chore.keeper(world).tick()
    seen: list[tuple[RunStatus, int]] = []
    for _ in range(4):
        [run] = await runs(world)
        seen.append((run.status, run.attempt))
        await chore.do(world, run)
    assert seen == [
        (RunStatus.WAITING, 0),
        (RunStatus.WAITING, 1),
        (RunStatus.WAITING, 2),
        (RunStatus.FAILED, 3),
    ]
    assert chore.calls == 3


@pytest.mark.parametrize("slot", [7, "", "tomorrow", "2026-01-01T00:00:00", {"a": 1}])
async def test_a_delivery_of_no_slot_does_nothing(world: World, slot: object) -> None:
    chore = Chore()
    [entry] = chore.timetable()
    await entry.cron_job.coroutine({"context": world.context}, slot)
    assert chore.calls == 0


async def test_a_function_may_be_delivered_besides_the_timetable(world: World) -> None:
    chore = Chore()
    [entry] = chore.timetable()
    await entry.cron_job.coroutine({"context": world.context})
    assert chore.calls == 1
    assert await runs(world) == []
