import asyncio
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from service.execution.isolation import Isolation
from service.execution.leftovers import find_leftovers, kill_leftovers
from service.execution.outcome import Outcome
from service.execution.sink import LogLine
from service.execution.stop import StopKind
from service.store.states import Reason
from tests.integration.execution.runs import MemorySink, ToolRun
from tests.waiting import until

TREE = Path(__file__).with_name("tree.py")
WORKER = "tests.integration.execution.worker"


class OvertakenError(Exception):
    """The job has a new owner."""


class RefusingSink(MemorySink):
    """Takes nothing."""

    async def log(self, lines: Sequence[LogLine]) -> None:
        """Say why."""
        raise OvertakenError(len(lines))


class StubbornSink(MemorySink):
    """Does not let go of its first batch, not even when it is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def log(self, lines: Sequence[LogLine]) -> None:
        """Remember a batch, and wait."""
        await super().log(lines)
        try:
            await self.gate.wait()
        finally:
            await self.gate.wait()


def _tree(isolation: Isolation, conduct: str = "stay") -> ToolRun:
    return ToolRun(sys.executable, str(TREE), conduct, isolation=isolation)


@asynccontextmanager
async def _spread(tool: ToolRun) -> AsyncGenerator[asyncio.Task[Outcome], None]:
    """Run the tool until its tree is there; it must have ended after the block."""
    task = asyncio.create_task(tool.run())
    try:
        await until(lambda: tool.has_said("spread"), what="the tree to spread")
        assert len(find_leftovers(tool.tag)) >= 6
        yield task
        assert task.done()
    finally:
        task.cancel()


async def test_nothing_outlives_a_tool_that_ends(isolation: Isolation) -> None:
    tool = _tree(isolation, "leave")

    outcome = await tool.run()

    assert kill_leftovers(tool.tag) == 0
    assert (outcome.return_code, outcome.reason) == (0, None)


@pytest.mark.parametrize("kind", list(StopKind), ids=lambda kind: kind.name.lower())
async def test_nothing_outlives_a_tool_that_is_stopped(
    isolation: Isolation, kind: StopKind
) -> None:
    tool = _tree(isolation)
    async with _spread(tool) as task:
        begun_at = time.monotonic()
        tool.stop.request(kind)
        await task

        assert kill_leftovers(tool.tag) == 0
        assert time.monotonic() - begun_at < 1


async def test_nothing_outlives_the_hard_limit(isolation: Isolation) -> None:
    tool = _tree(isolation)
    tool.hard_limit_seconds = 1.5

    outcome = await tool.run()

    assert kill_leftovers(tool.tag) == 0
    assert outcome.reason is Reason.HARD_TIME_LIMIT
    assert tool.has_said("spread")


async def test_nothing_outlives_the_task_that_awaits_it(isolation: Isolation) -> None:
    tool = _tree(isolation)
    async with _spread(tool) as task:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert kill_leftovers(tool.tag) == 0


async def test_a_sink_that_hangs_does_not_keep_the_tree(isolation: Isolation) -> None:
    tool = _tree(isolation)
    tool.sink = sink = StubbornSink()
    async with _spread(tool) as task:
        task.cancel()

        await until(lambda: not find_leftovers(tool.tag), what="the tree to be gone")
        assert not task.done()
        sink.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_nothing_outlives_an_error_of_the_sink(isolation: Isolation) -> None:
    tool = _tree(isolation)
    tool.sink = RefusingSink()

    with pytest.raises(OvertakenError):
        await tool.run()

    assert kill_leftovers(tool.tag) == 0


async def test_nothing_outlives_a_worker_that_is_killed(isolation: Isolation) -> None:
    async with _worker(isolation) as (worker, tag):
        worker.kill()

        await until(lambda: not find_leftovers(tag), what="the tree to be gone", within=1)


@pytest.mark.parametrize("victim", ["launcher", "init"])
async def test_the_kernel_ends_a_namespace_whose_keeper_is_killed(
    best_isolation: Isolation, victim: str
) -> None:
    """Even when the worker can do nothing about it."""
    if best_isolation is not Isolation.PID_NAMESPACE:
        pytest.skip("This host allows no PID namespace")
    async with _worker(Isolation.PID_NAMESPACE) as (worker, tag):
        keeper = _keeper(tag, psutil.Process(worker.pid))
        worker.send_signal(signal.SIGSTOP)
        (keeper if victim == "launcher" else keeper.children()[0]).kill()

        # A keeper that is not reaped yet has no environment any more.
        await until(lambda: not find_leftovers(tag), what="the tree to be gone", within=1)


async def test_the_main_process_dies_with_a_sub_reaper() -> None:
    async with _worker(Isolation.SUBREAPER) as (worker, tag):
        keeper = _keeper(tag, psutil.Process(worker.pid))
        tool = next(child for child in keeper.children() if child.cmdline()[-1:] == ["stay"])
        worker.send_signal(signal.SIGSTOP)
        keeper.kill()

        await until(lambda: _is_dead(tool), what="the tool to die")


async def test_what_a_killed_keeper_left_ends_with_the_run(isolation: Isolation) -> None:
    tool = _tree(isolation)
    async with _spread(tool) as task:
        _keeper(tool.tag, psutil.Process()).kill()
        outcome = await task

        await until(lambda: not find_leftovers(tool.tag), what="the tree to be gone", within=1)
        assert (outcome.return_code, outcome.reason) == (None, Reason.ERROR)
        assert outcome.message == "The process that kept the tool was killed"


async def test_a_tool_cannot_end_its_keeper_by_asking(isolation: Isolation) -> None:
    """Whatever it sends to its parent, short of SIGKILL, the tool is watched over to its end."""
    script = "for s in TERM INT HUP QUIT USR1 USR2 PIPE ALRM; do kill -$s $PPID; done; exit 5"

    outcome = await ToolRun("sh", "-c", script, isolation=isolation).run()

    assert outcome.return_code == 5


async def test_a_tree_that_forks_as_fast_as_it_can_is_caught(isolation: Isolation) -> None:
    script = """
import os, time
if os.fork():
    time.sleep(0.2)
    os._exit(0)
os.setsid()
while not os.fork():
    pass
"""
    tool = ToolRun(sys.executable, "-I", "-S", "-c", script, isolation=isolation)

    await tool.run()

    assert kill_leftovers(tool.tag) == 0


async def test_orphans_are_reaped_while_the_tool_runs(isolation: Isolation) -> None:
    """A tool may run for an hour and leave thousands of them."""
    script = "for i in 1 2 3 4 5; do sh -c 'sleep 0.01 &'; done; echo left; exec sleep 600"
    tool = ToolRun("sh", "-c", script, isolation=isolation)
    task = asyncio.create_task(tool.run())
    await until(lambda: tool.has_said("left"), what="the orphans to be left")
    init = _keeper(tool.tag, psutil.Process())
    if isolation is Isolation.PID_NAMESPACE:
        (init,) = init.children()

    await until(lambda: len(init.children()) == 1, what="only the tool to be left", within=2)

    tool.stop.request(StopKind.TERMINATE)
    await task


async def test_a_leftover_is_known_by_its_whole_tag() -> None:
    tag = f"test-{uuid.uuid4()}:1"
    environment = {**os.environ, "DATA20_JOB": tag + "1"}
    other = await asyncio.create_subprocess_exec("sleep", "600", env=environment)
    try:
        assert find_leftovers(tag + "1") == [other.pid]
        assert kill_leftovers(tag) == 0
        assert other.returncode is None
        assert kill_leftovers(tag + "1") == 1
        assert await other.wait() == -signal.SIGKILL
    finally:
        if other.returncode is None:
            other.kill()
            await other.wait()


@asynccontextmanager
async def _worker(
    isolation: Isolation,
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str], None]:
    """Start a worker in a process of its own, whose tool has spread: the process and the tag."""
    tag = f"test-{uuid.uuid4()}:1"
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", WORKER, isolation.name, tag), stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout is not None
    try:
        assert await worker.stdout.readline() == b"spread\n"
        assert len(find_leftovers(tag)) >= 6
        yield worker, tag
    finally:
        if worker.returncode is None:
            worker.kill()
        kill_leftovers(tag)
        await worker.communicate()


def _keeper(tag: str, worker: psutil.Process) -> psutil.Process:
    return next(child for child in worker.children() if child.environ().get("DATA20_JOB") == tag)


def _is_dead(process: psutil.Process) -> bool:
    """True also when nobody has reaped it yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
