"""What tests of a running tool share: a run with short limits, and a sink that remembers."""

import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from service.execution.hold import Hold
from service.execution.isolation import Isolation
from service.execution.outcome import Outcome
from service.execution.runner import Invocation, run
from service.execution.sink import LogLine, Sink
from service.execution.stop import Stop

PYTHON = (sys.executable, "-u", "-I", "-S", "-c")


class MemorySink:
    """Remembers what a tool said."""

    def __init__(self) -> None:
        self.batches: list[list[LogLine]] = []
        self.told: list[tuple[float | None, str | None]] = []

    def ended(self) -> None:
        """Remember nothing of it."""

    async def log(self, lines: Sequence[LogLine]) -> None:
        """Remember a batch."""
        self.batches.append(list(lines))

    async def progress(self, percent: float | None, message: str | None) -> None:
        """Remember what was told."""
        self.told.append((percent, message))

    @property
    def lines(self) -> list[LogLine]:
        """All lines so far."""
        return [line for batch in self.batches for line in batch]

    @property
    def texts(self) -> list[str]:
        """The text of each."""
        return [line.text for line in self.lines]


class ToolRun:
    """A tool about to run, with limits that a test which goes well never meets."""

    def __init__(self, *argv: str, isolation: Isolation = Isolation.SUBREAPER) -> None:
        self.argv = argv
        self.isolation = isolation
        self.tag = f"test-{uuid.uuid4()}:1"
        self.sink = MemorySink()
        self.stop = Stop()
        self.hold = Hold()
        self.cwd = Path("/")
        self.env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
        self.soft_limit_seconds = 60.0
        self.hard_limit_seconds = 60.0
        self.grace_seconds = 10.0
        self.log_limit_bytes = 1_000_000

    async def run(self) -> Outcome:
        """Run it to its end."""
        return await self.run_into(self.sink)

    async def run_into(self, sink: Sink) -> Outcome:
        """Run it to its end, and tell *sink* what it says."""
        invocation = Invocation(
            argv=self.argv,
            cwd=self.cwd,
            env=self.env,
            soft_limit_seconds=self.soft_limit_seconds,
            hard_limit_seconds=self.hard_limit_seconds,
            grace_seconds=self.grace_seconds,
            log_limit_bytes=self.log_limit_bytes,
            tag=self.tag,
        )
        return await run(invocation, sink, self.stop, self.isolation, self.hold)

    def has_said(self, text: str) -> bool:
        """True when a line *text* has reached the sink."""
        return text in self.sink.texts
