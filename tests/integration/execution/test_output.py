import asyncio
import gc
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from service.execution.isolation import Isolation
from service.execution.leftovers import find_leftovers
from service.execution.sink import LogLine
from service.execution.stop import StopKind
from tests.integration.execution.runs import PYTHON, MemorySink, ToolRun
from tests.waiting import until

MB = 1_000_000


class GatedSink(MemorySink):
    """Takes nothing before its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def log(self, lines: Sequence[LogLine]) -> None:
        """Wait, then remember a batch."""
        await self.gate.wait()
        await super().log(lines)


class ForgetfulSink(MemorySink):
    """Remembers nothing."""

    async def log(self, lines: Sequence[LogLine]) -> None:
        """Forget them."""


def _python(script: str) -> ToolRun:
    return ToolRun(*PYTHON, script)


async def test_lines_arrive_in_order_with_their_stream_and_time() -> None:
    tool = ToolRun("sh", "-c", "for i in 1 2 3; do echo out $i; echo err $i >&2; done")
    before = datetime.now(UTC)

    outcome = await tool.run()

    by_stream = {
        stream: [line.text for line in tool.sink.lines if line.stream == stream]
        for stream in ("stdout", "stderr")
    }
    assert by_stream == {
        "stdout": ["out 1", "out 2", "out 3"],
        "stderr": ["err 1", "err 2", "err 3"],
    }
    assert all(before <= line.at <= datetime.now(UTC) for line in tool.sink.lines)
    assert all(line.at.utcoffset() == timedelta() for line in tool.sink.lines)
    assert outcome.output.text == "out 1\nout 2\nout 3\n"
    assert outcome.error.text == "err 1\nerr 2\nerr 3\n"
    assert (outcome.output.total_bytes, outcome.output.is_cut) == (18, False)


async def test_the_first_line_does_not_wait_for_the_second() -> None:
    tool = ToolRun("sh", "-c", "echo first; sleep 60")
    task = asyncio.create_task(tool.run())

    await until(lambda: tool.has_said("first"), what="the first line")

    tool.stop.request(StopKind.TERMINATE)
    await task


async def test_a_flood_of_lines_comes_in_few_batches_and_in_order() -> None:
    tool = _python("for i in range(50000): print(i)")

    outcome = await tool.run()

    assert tool.sink.texts == [str(i) for i in range(50_000)]
    assert len(tool.sink.batches) < 200
    assert (outcome.left_out_lines, outcome.left_out_bytes) == (0, 0)


async def test_an_unfinished_last_line_is_a_line() -> None:
    tool = ToolRun("printf", "whole\\nhalf")

    outcome = await tool.run()

    assert tool.sink.texts == ["whole", "half"]
    assert outcome.output.text == "whole\nhalf"


async def test_what_was_written_just_before_the_end_is_kept() -> None:
    script = "import os; os.write(1, b'x' * 60000 + b'\\nlast\\n'); os.kill(os.getpid(), 9)"
    tool = _python(script)

    await tool.run()

    assert tool.sink.texts[-1] == "last"


async def test_output_beyond_the_limit_is_counted_and_not_passed_on() -> None:
    tool = _python("for i in range(200000): print('%07d' % i)")
    tool.log_limit_bytes = 8_000

    outcome = await tool.run()

    assert tool.sink.texts == [f"{i:07d}" for i in range(1000)]
    assert outcome.left_out_lines == 199_000
    assert outcome.left_out_bytes == 199_000 * 8
    assert outcome.output.total_bytes == 200_000 * 8
    assert outcome.output.is_cut
    first, second, *_, last = outcome.output.text.splitlines()
    assert first == f"[... {int(second) * 8:,} bytes left out ...]"
    assert last == "0199999"
    assert len(outcome.output.text) <= 65_536 + 100


@pytest.mark.parametrize(
    ("script", "megabytes"),
    [
        ("head -c 1000000000 /dev/zero", 1000),
        ("yes | head -c 300000000", 300),
        ("yes '' | tr '\\n' x | head -c 300000000", 300),
    ],
    ids=["zeros", "lines", "one line"],
)
async def test_a_great_deal_of_output_takes_little_memory_and_time(
    script: str, megabytes: int
) -> None:
    tool = ToolRun("sh", "-c", script)
    tool.log_limit_bytes = 100_000
    warm = ToolRun("sh", "-c", "head -c 1000000 /dev/zero; yes | head -c 1000000")
    await warm.run()
    before, peak = psutil.Process().memory_info().rss, 0
    spent_before = time.process_time()
    task = asyncio.create_task(tool.run())

    while not task.done():
        peak = max(peak, psutil.Process().memory_info().rss)
        await asyncio.wait({task}, timeout=0.02)

    outcome = await task
    assert outcome.reason is None
    assert outcome.output.total_bytes == megabytes * MB
    assert peak - before <= 8 * MB
    assert time.process_time() - spent_before < megabytes / 125  # Seconds.


async def test_a_slow_sink_holds_the_tool_back() -> None:
    """Nothing is dropped and little is held in memory: the tool itself waits."""
    tool = _python("for i in range(100000): print(i, 'x' * 90)")
    tool.log_limit_bytes = 20 * MB
    tool.sink = sink = GatedSink()
    task = asyncio.create_task(tool.run())

    looks = deque([0], maxlen=20)

    def has_stalled() -> bool:
        looks.append(_written_bytes(tool.tag))
        return looks[0] == looks[-1] > 100_000

    await until(has_stalled, what="the tool to wait")
    assert looks[-1] < 2 * MB
    assert tool.sink.texts == []
    sink.gate.set()
    await task

    assert [text.split()[0] for text in tool.sink.texts] == [str(i) for i in range(100_000)]


async def test_random_bytes_are_no_error() -> None:
    tool = ToolRun("head", "-c", "5000000", "/dev/urandom")
    tool.log_limit_bytes = 100 * MB

    outcome = await tool.run()

    assert outcome.reason is None
    assert outcome.output.total_bytes == 5 * MB
    assert "\0" not in "".join(tool.sink.texts) + outcome.output.text


async def test_progress_is_told_at_most_five_times_a_second_and_the_last_always() -> None:
    script = (
        "import time\n"
        "for i in range(100):\n"
        "    print(f'::progress {i} step {i}')\n"
        "    time.sleep(0.005)\n"
        "print('::progress 100 done')\n"
    )
    tool = _python(script)

    outcome = await tool.run()

    assert tool.sink.told[-1] == (100, "done")
    assert 2 <= len(tool.sink.told) <= 5 * outcome.duration_seconds + 2
    assert tool.sink.texts == []


async def test_a_bar_that_draws_over_itself_is_live_progress_and_one_line() -> None:
    script = (
        "import sys, time\n"
        "for i in range(0, 101, 20):\n"
        "    sys.stderr.write(f'\\rLoading: {i:3d}%|###| {i}/100')\n"
        "    sys.stderr.flush()\n"
        "    time.sleep(0.25)\n"
        "sys.stderr.write('\\n')\n"
    )
    tool = _python(script)

    await tool.run()

    assert tool.sink.told == [(float(i), "Loading") for i in range(0, 101, 20)]
    assert tool.sink.texts == ["Loading: 100%|###| 100/100"]


async def test_twenty_tools_run_at_once(isolation: Isolation) -> None:
    tools = [
        ToolRun("sh", "-c", f"echo {i}; sleep 0.2; exit {i}", isolation=isolation)
        for i in range(20)
    ]

    begun_at = time.monotonic()
    outcomes = await asyncio.gather(*(tool.run() for tool in tools))

    assert [outcome.return_code for outcome in outcomes] == list(range(20))
    assert [tool.sink.texts for tool in tools] == [[str(i)] for i in range(20)]
    assert time.monotonic() - begun_at < 5


async def test_the_loop_stays_awake_under_a_flood() -> None:
    """Other jobs' heartbeats run on the same loop."""
    tool = ToolRun("sh", "-c", "yes | head -c 5000000")
    tool.log_limit_bytes = 2 * MB
    tool.sink = ForgetfulSink()
    task = asyncio.create_task(tool.run())
    # In the thread's own time, so that a busy host makes no difference.
    longest, looked_at = 0.0, time.thread_time()

    gc.freeze()  # What other tests have left in memory is not this one's to go through.
    try:
        while not task.done():
            await asyncio.sleep(0)
            longest, looked_at = max(longest, time.thread_time() - looked_at), time.thread_time()
    finally:
        gc.unfreeze()

    assert (await task).reason is None
    assert longest < 0.1


def _written_bytes(tag: str) -> int:
    """Bytes that the processes of a run have written so far."""
    written = 0
    for pid in find_leftovers(tag):
        try:
            lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        written += next(int(line.split()[1]) for line in lines if line.startswith("wchar"))
    return written
