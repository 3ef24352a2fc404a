"""Passes on what a tool says: the first line at once, then in batches, never faster than taken."""

import asyncio
from collections.abc import Sequence

from service.execution.progress import Progress
from service.execution.sink import LogLine, Sink

BATCH_SECONDS = 0.05
BATCH_CHARACTERS = 65_536
PROGRESS_SECONDS = 0.2


class Relay:
    """Stands between a tool's readers and the sink; calls the sink one call at a time."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._lines: list[LogLine] = []
        self._characters = 0
        self._progress: Progress | None = None
        self._told: Progress | None = None
        self._told_at = float("-inf")
        self._is_closed = False
        self._news = asyncio.Event()
        self._hurry = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def add(self, lines: Sequence[LogLine], progress: Progress | None) -> None:
        """Take what was said; return when there is room for more."""
        self._lines += lines
        self._characters += sum(len(line.text) + 1 for line in lines)
        if progress is not None:
            self._progress = progress if progress != self._told else None
        if lines or self._progress:
            self._news.set()
        if self._characters >= BATCH_CHARACTERS:
            self._hurry.set()
            self._room.clear()
            await self._room.wait()

    def close(self) -> None:
        """Let `run` return when it has passed on all there is."""
        self._is_closed = True
        self._news.set()
        self._hurry.set()

    async def run(self) -> None:
        """Pass on until closed."""
        while True:
            await self._news.wait()
            self._news.clear()  # Before passing on, so that what is said meanwhile wakes us.
            is_last = self._is_closed
            await self._pass_on_lines()
            await self._pass_on_progress(is_last=is_last)
            if is_last and not self._news.is_set():
                return
            await self._pause()

    async def _pass_on_lines(self) -> None:
        lines, self._lines, self._characters = self._lines, [], 0
        if lines:
            await self._sink.log(lines)
        self._room.set()

    async def _pass_on_progress(self, *, is_last: bool) -> None:
        progress, now = self._progress, asyncio.get_running_loop().time()
        if progress is None:
            return
        if now - self._told_at < PROGRESS_SECONDS and not is_last:
            self._news.set()  # Later, then, unless it is overtaken.
            return
        self._progress, self._told, self._told_at = None, progress, now
        await self._sink.progress(progress.percent, progress.message)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(BATCH_SECONDS):
                await self._hurry.wait()
        except TimeoutError:
            pass
        if not self._is_closed:
            self._hurry.clear()
