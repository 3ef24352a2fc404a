"""The timetable kept by worker processes that are killed, stopped, and started late."""

import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from service.store import cron_runs
from service.store.cron_runs import CronRun, RunStatus
from tests.integration.jobs.chores import runs
from tests.integration.jobs.processes import PATIENCE_SECONDS, WorkerProcess, worker_process
from tests.integration.jobs.ticking_worker import PERIOD_SECONDS
from tests.integration.jobs.worlds import MakeWorld, World
from tests.waiting import until

TICKING_WORKER = (sys.executable, str(Path(__file__).with_name("ticking_worker.py")))
SHORT = {"DATA20_LEASE_SECONDS": "2", "DATA20_HEARTBEAT_SECONDS": "0.5"}
PERIOD = timedelta(seconds=PERIOD_SECONDS)


@asynccontextmanager
async def _workers(
    make_world: MakeWorld, count: int, *, begin: int = 0
) -> AsyncGenerator[list[WorkerProcess]]:
    async with AsyncExitStack() as stack:
        started: list[WorkerProcess] = []
        for number in range(begin, begin + count):
            world = await make_world(worker_name=f"worker-{number}")
            started.append(
                await stack.enter_async_context(worker_process(world, TICKING_WORKER, **SHORT))
            )
        for each in started:
            await each.ready()
        yield started


async def _ended(world: World, count: int) -> list[CronRun]:
    """Return the runs as soon as *count* of them have ended, and none is unfinished."""

    async def found() -> list[CronRun] | None:
        ended = [run for run in await runs(world) if run.finished_at is not None]
        return ended if len(ended) >= count else None

    ended = await until(found, what=f"{count} runs", within=PATIENCE_SECONDS)
    assert ended is not None
    return ended


def _begun(world: World) -> list[int]:
    """Return the process numbers of all who began the chore, once for each time."""
    ticks = world.folder / "ticks"
    lines = ticks.read_text().splitlines() if ticks.exists() else []
    return [int(line.split()[1]) for line in lines if line.startswith("begin")]


def _gaps(ended: Sequence[CronRun]) -> list[timedelta]:
    slots = [run.slot for run in ended]
    return [after - before for before, after in pairwise(slots)]


class Hold:
    """The file that keeps the chore from ending while it is there."""

    def __init__(self, world: World) -> None:
        self._file = world.folder / "hold"

    def take(self) -> None:
        """Let the chore wait where it is."""
        self._file.touch()

    def let_go(self) -> None:
        """Let it end."""
        self._file.unlink()


async def test_four_workers_run_each_slot_once_though_one_is_stopped_over_some(
    world: World, make_world: MakeWorld
) -> None:
    async with _workers(make_world, 4) as started:
        before = len(await _ended(world, 2))
        started[0].process.send_signal(signal.SIGSTOP)
        during = len(await _ended(world, before + 3))
        started[0].process.send_signal(signal.SIGCONT)
        await _ended(world, during + 2)
        for each in started:
            each.process.terminate()
        for each in started:
            assert await each.exit_code() == 0
    all_runs = await runs(world)
    assert set(_gaps(all_runs)) == {PERIOD}
    # It may have been stopped while it ran one, which then somebody else began again.
    assert len(_begun(world)) == sum(run.attempt for run in all_runs)
    assert sum(run.attempt for run in all_runs) <= len(all_runs) + 1


async def test_after_a_downtime_over_many_slots_one_run_catches_up(
    world: World, make_world: MakeWorld
) -> None:
    async with _workers(make_world, 1):
        await _ended(world, 1)
    last = (await runs(world))[-1].slot

    async def is_late() -> bool:
        async with world.context.database.connect() as connection:
            return await cron_runs.read_clock(connection) > last + 4 * PERIOD

    await until(is_late, what="four slots to pass")
    async with _workers(make_world, 1, begin=1):
        after = await _ended(world, len(await runs(world)) + 2)
    gaps = _gaps([run for run in after if run.slot >= last])
    assert gaps[0] >= 4 * PERIOD
    assert set(gaps[1:]) <= {PERIOD}


async def test_a_run_whose_worker_is_killed_does_not_stay_as_it_is(
    world: World, make_world: MakeWorld
) -> None:
    """Another does it, or it fails when a later slot was taken before the loss was seen."""
    async with _workers(make_world, 2) as started:
        hold = Hold(world)
        hold.take()
        pid = (await until(lambda: _begun(world), what="a run", within=PATIENCE_SECONDS))[-1]
        [victim] = [each for each in started if each.process.pid == pid]
        victim.process.kill()
        await victim.exit_code()
        hold.let_go()

        async def is_settled() -> bool:
            return all(
                run.finished_at is not None or run.worker != victim.world.context.identity.name
                for run in await runs(world)
            )

        await until(is_settled, what="the killed worker's run to end", within=PATIENCE_SECONDS)
        done = [run for run in await runs(world) if run.status is RunStatus.DONE]
        await _ended(world, len(done) + 2)
    assert all(
        run.status is RunStatus.DONE or run.error == "Its worker was lost"
        for run in await runs(world)
        if run.finished_at is not None
    )
