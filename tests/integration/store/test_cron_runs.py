"""The ledger: a slot has one winner, and so has each run; only the store's clock counts."""

import asyncio
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import cron_runs
from service.store.cron_runs import CronRun, RunStatus
from service.store.database import Database
from service.store.records import Holder
from tests.integration.store.making import signed_on, somebody

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
MOMENT = 0.001
"""A lease so short that the server has been up for longer."""


async def _now(connection: AsyncConnection) -> datetime:
    return await cron_runs.read_clock(connection)


async def _taken(connection: AsyncConnection, *, ago: timedelta = SECOND) -> CronRun:
    """Return a run whose slot was *ago* and lasts for another hour."""
    now = await _now(connection)
    run = await cron_runs.take(connection, "sweep", now - ago, following=now + HOUR)
    assert run is not None
    return run


async def _claimed(connection: AsyncConnection, holder: Holder) -> CronRun:
    run = await _taken(connection)
    running = await cron_runs.claim(connection, run.name, run.slot, holder)
    assert running is not None
    return running


async def _rescue(
    connection: AsyncConnection, *, limit_seconds: float = 3600, trusts_leases: bool = True
) -> list[CronRun]:
    return await cron_runs.rescue_lost(
        connection,
        lease_seconds=MOMENT,
        limit_seconds=limit_seconds,
        max_attempts=2,
        trusts_leases=trusts_leases,
    )


async def _latest(connection: AsyncConnection) -> CronRun:
    return (await cron_runs.latest(connection))["sweep"]


async def test_a_slot_that_many_want_has_one_winner(database: Database) -> None:
    async with database.connect() as connection:
        now = await _now(connection)

    async def want() -> CronRun | None:
        async with database.connect() as connection:
            return await cron_runs.take(connection, "sweep", now, following=now + HOUR)

    won = [run for run in await asyncio.gather(*(want() for _ in range(8))) if run]
    assert [(run.name, run.slot, run.status) for run in won] == [("sweep", now, RunStatus.WAITING)]


async def test_a_slot_of_the_future_is_refused(connection: AsyncConnection) -> None:
    """So a worker whose clock is an hour ahead takes nothing too early."""
    soon = await _now(connection) + HOUR
    assert await cron_runs.take(connection, "sweep", soon, following=soon + HOUR) is None


async def test_a_slot_whose_follower_is_due_is_refused(connection: AsyncConnection) -> None:
    """So a worker that slept, or whose clock is an hour behind, repeats nothing."""
    past = await _now(connection) - HOUR
    assert await cron_runs.take(connection, "sweep", past, following=past + SECOND) is None


async def test_a_slot_before_one_that_was_taken_is_refused(connection: AsyncConnection) -> None:
    now = (await _taken(connection)).slot
    earlier = now - SECOND
    assert await cron_runs.take(connection, "sweep", earlier, following=now + HOUR) is None
    assert await cron_runs.take(connection, "other", earlier, following=now + HOUR) is not None


async def test_a_run_that_still_waits_is_skipped_when_the_next_slot_is_taken(
    connection: AsyncConnection,
) -> None:
    early = await _taken(connection, ago=2 * SECOND)
    late = await _taken(connection, ago=SECOND)
    assert await cron_runs.claim(connection, early.name, early.slot, somebody()) is None
    assert await cron_runs.claim(connection, late.name, late.slot, somebody()) is not None


async def test_a_run_that_many_want_has_one_winner(database: Database) -> None:
    async with database.connect() as connection:
        run = await _taken(connection)

    async def want(number: int) -> CronRun | None:
        async with database.connect() as connection:
            holder = somebody(f"worker-{number}")
            return await cron_runs.claim(connection, run.name, run.slot, holder)

    won = [each for each in await asyncio.gather(*(want(n) for n in range(8))) if each]
    assert [(each.status, each.attempt) for each in won] == [(RunStatus.RUNNING, 1)]


async def test_a_run_ends_with_what_it_did(connection: AsyncConnection) -> None:
    holder = await signed_on(connection)
    run = await _claimed(connection, holder)
    await cron_runs.finish(connection, run, outcome={"jobs": 3})
    done = await _latest(connection)
    assert (done.status, done.outcome, done.error) == (RunStatus.DONE, {"jobs": 3}, None)
    assert done.worker == holder.name
    assert done.started_at is not None
    assert done.finished_at is not None
    assert await cron_runs.finish(connection, run, error="late") is None


async def test_a_run_of_a_live_worker_is_left_alone(connection: AsyncConnection) -> None:
    run = await _claimed(connection, await signed_on(connection))
    assert await _rescue(connection) == []
    assert await _latest(connection) == run


async def test_a_run_of_a_lost_worker_waits_again_and_its_late_end_is_refused(
    connection: AsyncConnection,
) -> None:
    run = await _claimed(connection, await signed_on(connection, lease_seconds=-1))
    assert await _rescue(connection, trusts_leases=False) == []
    [rescued] = await _rescue(connection)
    assert (rescued.status, rescued.attempt) == (RunStatus.WAITING, 1)
    again = await cron_runs.claim(connection, run.name, run.slot, await signed_on(connection))
    assert again is not None
    assert await cron_runs.finish(connection, run) is None
    assert await _latest(connection) == again


async def test_a_run_that_lost_as_many_workers_as_it_may_fails(
    connection: AsyncConnection,
) -> None:
    run = await _claimed(connection, somebody())
    [rescued] = await _rescue(connection)
    await cron_runs.claim(connection, run.name, run.slot, somebody())
    [failed] = await _rescue(connection)
    assert (rescued.status, failed.status) == (RunStatus.WAITING, RunStatus.FAILED)
    assert failed.error == "Its worker was lost"


async def test_a_lost_run_is_not_repeated_when_a_later_one_has_followed(
    connection: AsyncConnection,
) -> None:
    run = await _taken(connection, ago=2 * SECOND)
    await cron_runs.claim(connection, run.name, run.slot, somebody())
    await _taken(connection, ago=SECOND)
    [lost] = await _rescue(connection)
    assert (lost.slot, lost.status) == (run.slot, RunStatus.FAILED)


async def test_a_run_that_its_live_worker_forgot_waits_again(connection: AsyncConnection) -> None:
    """The answer to its claim was lost, say: the row would stay as it is for ever."""
    await _claimed(connection, await signed_on(connection))
    [rescued] = await _rescue(connection, limit_seconds=0)
    assert rescued.status is RunStatus.WAITING


async def test_a_run_that_is_handed_back_costs_no_attempt_unless_charged(
    connection: AsyncConnection,
) -> None:
    holder = await signed_on(connection)
    run = await _claimed(connection, holder)
    back = await cron_runs.release(connection, run, is_charged=False)
    assert back is not None
    assert (back.status, back.attempt) == (RunStatus.WAITING, 0)
    again = await cron_runs.claim(connection, run.name, run.slot, holder)
    assert again is not None
    charged = await cron_runs.release(connection, again, is_charged=True)
    assert charged is not None
    assert (charged.status, charged.attempt) == (RunStatus.WAITING, 1)
    third = await cron_runs.claim(connection, run.name, run.slot, holder)
    assert third is not None
    assert third.attempt == 2
    assert await cron_runs.finish(connection, again) is None


async def test_a_run_is_overdue_when_it_has_waited_long(connection: AsyncConnection) -> None:
    run = await _taken(connection)
    assert await cron_runs.list_overdue(connection, older_than_seconds=60) == []
    assert await cron_runs.list_overdue(connection, older_than_seconds=0) == [run]


async def test_old_runs_are_forgotten_but_never_the_latest(connection: AsyncConnection) -> None:
    """The ledger must still know what was run last, however long ago that is."""
    for ago in (3, 2, 1):
        run = await _taken(connection, ago=ago * SECOND)
        running = await cron_runs.claim(connection, run.name, run.slot, somebody())
        assert running is not None
        await cron_runs.finish(connection, running)
    assert await cron_runs.forget(connection, older_than_hours=1) == 0
    assert await cron_runs.forget(connection, older_than_hours=0) == 2
    assert (await _latest(connection)).slot == run.slot
