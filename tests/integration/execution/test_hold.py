"""A tool ends with its worker's hold on it, whatever the worker does by then."""

import asyncio
import sys
import time

from service.execution.hold import NANOSECONDS, boot_nanoseconds
from service.execution.isolation import Isolation
from service.execution.leftovers import find_leftovers
from service.store.states import Reason
from tests.integration.execution.runs import ToolRun
from tests.integration.execution.test_trees import TREE
from tests.waiting import until


def _in(seconds: float) -> int:
    return boot_nanoseconds() + int(seconds * NANOSECONDS)


def _tree(isolation: Isolation) -> ToolRun:
    return ToolRun(sys.executable, str(TREE), "stay", isolation=isolation)


async def test_the_whole_tree_ends_with_the_hold(isolation: Isolation) -> None:
    tool = _tree(isolation)
    task = asyncio.create_task(tool.run())
    await until(lambda: tool.has_said("spread"), what="the tree to spread")
    tool.hold.push_on(_in(0.1))
    outcome = await asyncio.wait_for(task, 10)
    assert outcome.reason is Reason.WORKER_LOST
    assert outcome.signals == ()
    assert list(find_leftovers(tool.tag)) == []


async def test_a_worker_that_stands_still_cannot_keep_its_tool(isolation: Isolation) -> None:
    """The keeper acts alone: nothing of the worker's loop runs meanwhile."""
    tool = _tree(isolation)
    task = asyncio.create_task(tool.run())
    await until(lambda: tool.has_said("spread"), what="the tree to spread")
    tool.hold.push_on(_in(0.1))
    deadline = time.monotonic() + 10
    while find_leftovers(tool.tag):  # Blocks the loop, as being stopped does.
        assert time.monotonic() < deadline
    await task


async def test_a_hold_that_is_pushed_on_ends_nothing(isolation: Isolation) -> None:
    tool = ToolRun("/bin/sh", "-c", "echo ready; sleep 1; echo done", isolation=isolation)
    tool.hold.push_on(_in(60))
    task = asyncio.create_task(tool.run())
    await until(lambda: tool.has_said("ready"), what="the tool to be ready")
    tool.hold.push_on(_in(0.5))
    tool.hold.push_on(_in(60))
    outcome = await task
    assert outcome.reason is None
    assert tool.sink.texts == ["ready", "done"]


async def test_a_tool_whose_hold_is_over_is_not_started(isolation: Isolation) -> None:
    tool = ToolRun("/bin/sh", "-c", "echo started", isolation=isolation)
    tool.hold.push_on(_in(-0.001))
    outcome = await tool.run()
    assert outcome.reason is Reason.WORKER_LOST
    assert tool.sink.texts == []
