"""A cancel on its way to a running tool: by a nudge, without one, and racing the tool's end."""

import asyncio
import random
from functools import partial

import orjson
import pytest
import sqlalchemy as sa

from service.errors import JobFinishedError
from service.jobs.lease import heartbeat, sign_on
from service.queue.broker import Broker
from service.queue.control import CHANNEL, cancel
from service.store.records import Job
from service.store.states import Reason, Status
from tests.integration.jobs.worlds import ENDLESS, QUICK, World
from tests.waiting import until

RACES = 200


async def _cancel(world: World, job: Job, *, terminates: bool) -> Job:
    context = world.context
    return await cancel(context.database, context.broker, job.id, terminates=terminates)


@pytest.mark.parametrize(
    ("terminates", "said", "sent"),
    [(False, ["started", "asked to stop"], ["SIGTERM"]), (True, ["started"], ["SIGKILL"])],
)
async def test_a_nudge_ends_the_tool_as_it_was_wished(
    listening: World, *, terminates: bool, said: list[str], sent: list[str]
) -> None:
    listening.add_tool("endless", ENDLESS)
    job = await listening.submit("endless")
    delivery = await listening.begin(job)
    answer = await _cancel(listening, job, terminates=terminates)
    assert answer.status is Status.RUNNING
    await asyncio.wait_for(delivery, 10)
    ended = await listening.read(job)
    assert (ended.status, ended.reason) == (Status.CANCELLED, Reason.CANCELLED)
    assert await listening.lines(job) == said
    last = (await listening.events(job))[-1]
    assert [each["name"] for each in last.data["signals"]] == sent
    assert await listening.states(job) == ["create", "claim", "request_cancel", "stop"]
    assert listening.leftovers(job) == []


async def test_a_wish_can_be_made_stronger(listening: World) -> None:
    listening.add_tool("stubborn", ENDLESS.replace("sys.exit(0)", "pass"))
    job = await listening.submit("stubborn")
    delivery = await listening.begin(job)
    await _cancel(listening, job, terminates=False)
    said = ["started", "asked to stop"]
    await until(partial(_has_said, listening, job, said), what="the tool to be asked")
    await _cancel(listening, job, terminates=True)
    await asyncio.wait_for(delivery, 4)  # Before the grace of 5 s is over.
    assert (await listening.read(job)).status is Status.CANCELLED


async def _has_said(world: World, job: Job, said: list[str]) -> bool:
    return await world.lines(job) == said


@pytest.mark.parametrize("terminates", [False, True])
async def test_a_wish_whose_nudge_got_lost_is_read_at_the_next_heartbeat(
    world: World, *, terminates: bool
) -> None:
    world.add_tool("endless", ENDLESS)
    await sign_on(world.context)
    job = await world.submit("endless")
    delivery = await world.begin(job)
    nowhere = Broker("unix:///nowhere")
    await cancel(world.context.database, nowhere, job.id, terminates=terminates)
    await nowhere.close()
    assert not delivery.done()
    await heartbeat(world.context)
    await asyncio.wait_for(delivery, 10)
    assert (await world.read(job)).status is Status.CANCELLED
    assert ("asked to stop" in await world.lines(job)) is not terminates


async def test_a_nudge_that_is_faster_than_the_claims_answer_spares_the_start(
    listening: World,
) -> None:
    listening.add_tool("quick", QUICK)
    context = listening.context
    job = await listening.submit("quick")
    async with context.database.begin() as connection:
        await connection.execute(
            sa.text("SELECT 1 FROM jobs WHERE id = :id FOR UPDATE"), {"id": job.id}
        )
        delivery = asyncio.create_task(listening.deliver(job.id))
        await until(lambda: job.id in context.running, what="the claim to be under way")
        nudge = {"cancel": str(job.id), "terminate": False}
        await context.broker.publish(CHANNEL, orjson.dumps(nudge))
        await until(lambda: context.running[job.id].stop.kind, what="the nudge")
    await delivery
    assert (await listening.read(job)).status is Status.CANCELLED
    assert await listening.lines(job) == []


@pytest.mark.timeout(240)
async def test_of_a_cancel_and_an_end_one_wins(listening: World) -> None:
    """Whoever was told that the job is being cancelled finds it cancelled; it ends once."""
    listening.add_tool("quick", QUICK)
    reference = await listening.run(await listening.submit("quick"))
    assert reference.duration_seconds is not None
    chance = random.Random(20)  # noqa: S311  # Not a secret.
    turns = asyncio.Semaphore(4)

    async def race(share: float) -> bool:
        async with turns:
            job = await listening.submit("quick")
            delivery = asyncio.create_task(listening.deliver(job.id))
            await until(partial(_is_running, listening, job), what="the claim")
            # Not to wait for anything: to meet the job at another moment of its life each time.
            await asyncio.sleep(share * (reference.duration_seconds or 0) * chance.random())
            try:
                await _cancel(listening, job, terminates=chance.random() < 0.5)
                is_promised = True
            except JobFinishedError:
                is_promised = False
            await asyncio.wait_for(delivery, 30)
        ended = await listening.read(job)
        assert ended.status is (Status.CANCELLED if is_promised else Status.COMPLETED)
        moves = await listening.states(job)
        assert moves.count("complete") + moves.count("stop") == 1
        return is_promised

    promised = await asyncio.gather(*(race(number % 50 / 10) for number in range(RACES)))
    assert any(promised)
    assert [*listening.context.settings.workspaces.iterdir()] == []


async def _is_running(world: World, job: Job) -> bool:
    return (await world.read(job)).status is not Status.PENDING
