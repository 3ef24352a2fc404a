import asyncio
import time

import pytest

from service.execution.isolation import Isolation
from service.execution.stop import StopKind
from service.store.states import Reason
from tests.integration.execution.runs import ToolRun
from tests.waiting import until

DEAF = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
POLITE = "trap 'echo bye; exit {code}' TERM; echo ready; while :; do sleep 0.05; done"


def _shell(script: str, isolation: Isolation) -> ToolRun:
    return ToolRun("sh", "-c", script, isolation=isolation)


@pytest.mark.parametrize("code", [0, 2, 9])
async def test_at_the_soft_limit_a_tool_may_end_as_it_likes(
    isolation: Isolation, code: int
) -> None:
    tool = _shell(POLITE.format(code=code), isolation)
    tool.soft_limit_seconds = 0.5

    outcome = await tool.run()

    assert (outcome.return_code, outcome.reason) == (code, Reason.SOFT_TIME_LIMIT)
    assert outcome.message == (
        f"Still running at its soft limit of 0.5 s: asked to stop, ended with exit code {code}"
    )
    assert [sent.name for sent in outcome.signals] == ["SIGTERM"]
    assert tool.sink.texts == ["ready", "bye"]
    assert 0.5 <= outcome.duration_seconds < 3


async def test_a_tool_that_will_not_stop_is_killed_after_the_grace(isolation: Isolation) -> None:
    tool = _shell(DEAF, isolation)
    tool.soft_limit_seconds, tool.grace_seconds = 0.5, 0.5

    outcome = await tool.run()

    assert (outcome.return_code, outcome.reason) == (-9, Reason.SOFT_TIME_LIMIT)
    assert outcome.message == "Still running at its soft limit of 0.5 s: asked to stop, killed"
    assert [sent.name for sent in outcome.signals] == ["SIGTERM", "SIGKILL"]
    assert 1 <= outcome.duration_seconds < 2


async def test_the_hard_limit_cuts_the_grace_short(isolation: Isolation) -> None:
    tool = _shell(DEAF, isolation)
    tool.soft_limit_seconds, tool.hard_limit_seconds = 0.5, 1.0

    outcome = await tool.run()

    assert (outcome.return_code, outcome.reason) == (-9, Reason.HARD_TIME_LIMIT)
    assert outcome.message == "Still running at its hard limit of 1 s: killed"
    assert [sent.name for sent in outcome.signals] == ["SIGTERM", "SIGKILL"]
    assert 1 <= outcome.duration_seconds < 2


async def test_a_hard_limit_below_the_soft_one_kills_at_once(isolation: Isolation) -> None:
    tool = _shell(DEAF, isolation)
    tool.hard_limit_seconds = 0.5

    outcome = await tool.run()

    assert outcome.reason is Reason.HARD_TIME_LIMIT
    assert [sent.name for sent in outcome.signals] == ["SIGKILL"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(StopKind.CANCEL, Reason.CANCELLED), (StopKind.RELEASE, Reason.SHUTDOWN)],
)
async def test_a_stopped_tool_is_asked_first(
    isolation: Isolation, kind: StopKind, reason: Reason
) -> None:
    tool = _shell(POLITE.format(code=0), isolation)
    task = asyncio.create_task(tool.run())
    await until(lambda: tool.has_said("ready"), what="the tool to be ready")

    tool.stop.request(kind)
    outcome = await task

    assert (outcome.return_code, outcome.reason) == (0, reason)
    assert [sent.name for sent in outcome.signals] == ["SIGTERM"]
    assert tool.sink.texts == ["ready", "bye"]


@pytest.mark.parametrize("kind", [StopKind.CANCEL, StopKind.RELEASE])
async def test_a_stopped_tool_that_will_not_is_killed(isolation: Isolation, kind: StopKind) -> None:
    tool = _shell(DEAF, isolation)
    tool.grace_seconds = 0.5
    task = asyncio.create_task(tool.run())
    await until(lambda: tool.has_said("ready"), what="the tool to be ready")

    begun_at = time.monotonic()
    tool.stop.request(kind)
    outcome = await task

    assert 0.5 <= time.monotonic() - begun_at < 2
    assert outcome.return_code == -9
    assert [sent.name for sent in outcome.signals] == ["SIGTERM", "SIGKILL"]


async def test_a_terminated_tool_is_killed_at_once(isolation: Isolation) -> None:
    tool = _shell(POLITE.format(code=0), isolation)
    task = asyncio.create_task(tool.run())
    await until(lambda: tool.has_said("ready"), what="the tool to be ready")

    tool.stop.request(StopKind.TERMINATE)
    outcome = await task

    assert (outcome.return_code, outcome.reason) == (-9, Reason.CANCELLED)
    assert outcome.message == "Cancelled: killed"
    assert [sent.name for sent in outcome.signals] == ["SIGKILL"]


async def test_a_wish_may_become_more_urgent_and_never_less(isolation: Isolation) -> None:
    tool = _shell(DEAF, isolation)
    task = asyncio.create_task(tool.run())
    await until(lambda: tool.has_said("ready"), what="the tool to be ready")

    for kind in (StopKind.RELEASE, StopKind.CANCEL, StopKind.RELEASE):
        tool.stop.request(kind)
        await asyncio.sleep(0)
    assert tool.stop.kind is StopKind.CANCEL
    tool.stop.request(StopKind.TERMINATE)
    outcome = await task

    assert outcome.reason is Reason.CANCELLED
    assert [sent.name for sent in outcome.signals] == ["SIGTERM", "SIGKILL"]


async def test_a_cancel_during_the_grace_of_a_limit_is_what_counts(isolation: Isolation) -> None:
    tool = _shell("trap 'echo asked' TERM; while :; do sleep 0.05; done", isolation)
    tool.soft_limit_seconds, tool.grace_seconds = 0.3, 1.0
    task = asyncio.create_task(tool.run())
    await until(lambda: tool.has_said("asked"), what="the soft limit")

    tool.stop.request(StopKind.CANCEL)
    outcome = await task

    assert outcome.reason is Reason.CANCELLED
    assert [sent.name for sent in outcome.signals] == ["SIGTERM", "SIGKILL"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (StopKind.CANCEL, Reason.CANCELLED),
        (StopKind.TERMINATE, Reason.CANCELLED),
        (StopKind.RELEASE, Reason.SHUTDOWN),
    ],
)
async def test_a_stop_before_the_start_starts_nothing(
    isolation: Isolation, kind: StopKind, reason: Reason
) -> None:
    tool = _shell("echo ready", isolation)
    tool.stop.request(kind)

    outcome = await tool.run()

    assert (outcome.return_code, outcome.reason, outcome.signals) == (None, reason, ())
    assert tool.sink.texts == []


@pytest.mark.parametrize("kind", list(StopKind))
async def test_a_stop_while_the_tool_starts_ends_it(isolation: Isolation, kind: StopKind) -> None:
    """The keeper is not even there yet; the wish waits for it in its pipe."""
    tool = _shell("sleep 60", isolation)
    task = asyncio.create_task(tool.run())
    await asyncio.sleep(0)  # The task has begun, and waits for the tool.

    tool.stop.request(kind)
    outcome = await task

    assert outcome.duration_seconds < 2
    assert outcome.reason in {Reason.CANCELLED, Reason.SHUTDOWN}
    assert len(outcome.signals) == 1


@pytest.mark.parametrize("kind", list(StopKind))
async def test_a_stop_after_the_end_changes_nothing(isolation: Isolation, kind: StopKind) -> None:
    tool = _shell("echo ready", isolation)

    outcome = await tool.run()
    tool.stop.request(kind)

    assert (outcome.return_code, outcome.reason) == (0, None)


async def test_only_the_main_process_is_asked(isolation: Isolation) -> None:
    """It may want to end its children in an order of its own."""
    script = (
        "(trap 'echo child asked' TERM; for i in 1 2 3 4 5 6; do sleep 0.1; done; echo child) & "
        "trap 'wait; echo parent; exit 0' TERM; echo ready; wait; wait"
    )
    tool = _shell(script, isolation)
    task = asyncio.create_task(tool.run())
    await until(lambda: tool.has_said("ready"), what="the tool to be ready")

    tool.stop.request(StopKind.CANCEL)
    await task

    assert tool.sink.texts == ["ready", "child", "parent"]
