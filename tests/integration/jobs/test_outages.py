"""PostgreSQL goes away while a job is on its way, and comes back: nothing is lost or doubled."""

import asyncio
from collections.abc import Mapping, Sequence

from structlog.testing import capture_logs

from service.embedded.servers import EmbeddedServers
from service.store import jobs
from service.store.states import Status
from tests.integration.jobs.worlds import GATED, QUICK, World
from tests.waiting import until

COUNTING = """
    import argparse, time
    from pathlib import Path

    parser = argparse.ArgumentParser()
    parser.add_argument("--gate", required=True)
    gate = Path(parser.parse_args().gate)
    number = 0
    while not gate.exists():
        number += 1
        print(number, flush=True)
        if number % 50 == 0:
            print(f"::progress {number % 100} {number}", flush=True)
        time.sleep(0.005)
    print("last", number, flush=True)
"""
"""A tool that counts aloud until there is a file, and then says how far it came."""


async def _go_away_and_return(servers: EmbeddedServers) -> None:
    """Kill PostgreSQL, and start it again when the worker has asked in vain."""
    with capture_logs() as logs:
        servers.postgres.kill()
        await until(lambda: _asked_in_vain(logs), what="the worker to notice")
    servers.postgres.start()


def _asked_in_vain(logs: Sequence[Mapping[str, object]]) -> bool:
    return any(line["event"] == "store away, waiting" for line in logs)


async def test_no_line_is_lost_or_doubled(fragile: World, own_servers: EmbeddedServers) -> None:
    fragile.add_tool("counting", COUNTING)
    gate = fragile.folder / "gate"
    job = await fragile.submit("counting", {"gate": str(gate)})
    delivery = await fragile.begin(job)
    for _ in range(5):
        await _go_away_and_return(own_servers)
        said = len(await fragile.lines(job))

        async def goes_on(more_than: int = said) -> bool:
            return len(await fragile.lines(job)) > more_than

        await until(goes_on, what="the tool to be heard again")
    gate.touch()
    await asyncio.wait_for(delivery, 60)
    done = await fragile.read(job)
    assert (done.status, done.attempt, done.fence) == (Status.COMPLETED, 1, 1)
    *counted, last = await fragile.lines(job)
    assert counted == [str(number) for number in range(1, len(counted) + 1)]
    assert last == f"last {len(counted)}"
    assert len(await fragile.events(job)) > 5
    assert fragile.leftovers(job) == []


async def test_an_end_that_cannot_be_written_is_written_later(
    fragile: World, own_servers: EmbeddedServers
) -> None:
    fragile.add_tool("gated", GATED.replace('print("ended", flush=True)', ""))
    gate = fragile.folder / "gate"
    job = await fragile.submit("gated", {"gate": str(gate)})
    delivery = await fragile.begin(job)
    gate.touch()
    await _go_away_and_return(own_servers)
    await asyncio.wait_for(delivery, 60)
    done = await fragile.detail(job)
    assert done.job.status is Status.COMPLETED
    assert done.artifact_names == ("left.txt",)
    assert await fragile.states(job) == ["create", "claim", "complete"]


async def test_a_claim_waits_and_so_takes_no_more_than_a_slot(
    fragile: World, own_servers: EmbeddedServers
) -> None:
    fragile.add_tool("quick", QUICK)
    job = await fragile.submit("quick")
    own_servers.postgres.kill()
    delivery = asyncio.create_task(fragile.deliver(job.id))
    await until(lambda: job.id in fragile.context.running, what="the delivery")
    with capture_logs() as logs:
        await until(lambda: _asked_in_vain(logs), what="the claim to be tried")
    own_servers.postgres.start()
    await asyncio.wait_for(delivery, 60)
    assert (await fragile.read(job)).status is Status.COMPLETED


async def test_a_claim_gives_up_when_the_worker_drains(
    fragile: World, own_servers: EmbeddedServers
) -> None:
    fragile.add_tool("quick", QUICK)
    job = await fragile.submit("quick")
    own_servers.postgres.kill()
    delivery = asyncio.create_task(fragile.deliver(job.id))
    await until(lambda: job.id in fragile.context.running, what="the delivery")
    fragile.context.is_draining = True
    await asyncio.wait_for(delivery, 60)
    own_servers.postgres.start()
    assert await fragile.read(job) == job


async def test_a_claim_whose_answer_got_lost_is_known_again(fragile: World) -> None:
    """The row says that the job is ours, and nobody here runs it."""
    fragile.add_tool("quick", QUICK)
    job = await fragile.submit("quick")
    async with fragile.context.database.connect() as connection:
        assert await jobs.claim(connection, job.id, fragile.context.holder) is not None
    done = await fragile.run(job)
    assert (done.status, done.attempt, done.fence) == (Status.COMPLETED, 1, 1)
