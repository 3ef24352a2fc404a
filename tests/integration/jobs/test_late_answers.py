"""Answers of PostgreSQL that come when they are no longer true."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
import sqlalchemy as sa

from service.embedded.sockets import POSTGRES_SOCKET
from service.jobs.lease import heartbeat, sign_on
from service.jobs.run_waiting import run_waiting
from service.store import jobs
from service.store.cron_runs import RunStatus
from service.store.ids import new_id
from service.store.rescue import rescue_lost
from service.store.states import Status
from tests.chaos.lines import Line
from tests.integration.jobs.chores import Chore, runs
from tests.integration.jobs.worlds import MakeWorld, World
from tests.integration.store.making import somebody
from tests.waiting import until

STARTED = """
    import argparse
    from pathlib import Path

    parser = argparse.ArgumentParser()
    parser.add_argument("--mark", required=True)
    Path(parser.parse_args().mark).touch()
"""
"""A tool that leaves a mark as soon as it runs."""


@pytest.fixture
async def line(migrated_url: str) -> AsyncGenerator[Line]:
    """Give a line to PostgreSQL."""
    host = Path(parse_qs(urlsplit(migrated_url).query)["host"][0])
    line = Line(host / POSTGRES_SOCKET)
    await line.open()
    yield line
    line.close()


async def _renewals(world: World) -> int:
    """Count the leases that are good."""
    async with world.context.database.connect() as connection:
        rows = await connection.execute(sa.text("SELECT 1 FROM workers WHERE lease_until > now()"))
        return len(rows.all())


async def _with_delivery(world: World, job_id: UUID) -> None:
    await world.deliver(job_id)


async def _without_delivery(world: World, job_id: UUID) -> None:  # noqa: ARG001  # Whichever waits.
    await run_waiting({"context": world.context}, asyncio.Event())


@pytest.mark.parametrize("take", [_with_delivery, _without_delivery])
async def test_a_claim_that_is_answered_after_its_lease_starts_no_tool(
    make_world: MakeWorld,
    migrated_url: str,
    line: Line,
    take: Callable[[World, UUID], Coroutine[None, None, None]],
) -> None:
    """Although the lease was renewed since: in between, somebody else took the job."""
    here = await make_world()
    there = await make_world(
        database_url=line.leads_to(migrated_url),
        worker_name="worker@there",
        lease_seconds=1.0,
        heartbeat_seconds=0.5,
    )
    there.add_tool("started", STARTED)
    mark = there.folder / "mark"
    await sign_on(there.context)
    await take(there, new_id())  # So that its one connection has a claim prepared.
    await heartbeat(there.context)
    job = await here.submit("started", {"mark": str(mark)})
    line.hold_answers()
    delivery = asyncio.create_task(take(there, job.id))

    async def is_claimed() -> bool:
        return (await here.read(job)).status is Status.RUNNING

    async def is_lapsed() -> bool:
        return await _renewals(here) == 0

    async def is_renewed() -> bool:
        return await _renewals(here) == 1

    await until(is_claimed, what="the claim to be committed")
    await until(is_lapsed, what="the lease to run out")
    async with here.context.database.connect() as connection:
        [rescued] = await rescue_lost(connection, lease_seconds=0.0, max_losses=3)
        assert await jobs.claim(connection, rescued.id, somebody("worker@here"))
    renewing = asyncio.create_task(heartbeat(there.context))
    await until(is_renewed, what="the lease to be renewed")
    line.thaw()
    await renewing
    await delivery
    assert not mark.exists()
    now = await here.read(job)
    assert (now.status, now.fence, now.worker) == (Status.RUNNING, 2, "worker@here")


async def test_a_cron_run_is_begun_though_the_answer_to_its_claim_is_lost(
    make_world: MakeWorld, migrated_url: str, line: Line
) -> None:
    """Else it would stay as running for an hour, and nobody would do it."""
    here = await make_world()
    there = await make_world(database_url=line.leads_to(migrated_url), worker_name="worker@there")
    chore = Chore()
    await chore.keeper(here).tick()
    [run] = await runs(here)
    # Of no such slot, so that its one connection has a claim prepared.
    await chore.do(there, replace(run, slot=run.slot - timedelta(days=1)))
    line.hold_answers()
    delivery = asyncio.create_task(chore.do(there, run))

    async def is_claimed() -> bool:
        return [each.status for each in await runs(here)] == [RunStatus.RUNNING]

    await until(is_claimed, what="the claim to be committed")
    line.cut()
    await delivery
    [done] = await runs(here)
    assert (done.status, done.attempt, chore.calls) == (RunStatus.DONE, 1, 1)
