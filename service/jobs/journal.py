"""What a tool says while it runs, written down as events of its job."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from service.errors import StoreUnavailableError
from service.execution.sink import LogLine
from service.execution.stop import Stop, StopKind
from service.store import events
from service.store.database import Database
from service.store.records import Job

log = structlog.stdlib.get_logger(__name__)

_T = TypeVar("_T")

_PAUSE_SECONDS = 0.5


class Journal:
    """The sink of one attempt. While PostgreSQL is away it waits, and in the end the tool does.

    When the tool has ended meanwhile, the journal waits no longer and remembers what is left.
    When the job turns out to be somebody else's, the tool is killed.
    """

    def __init__(self, database: Database, job: Job, stop: Stop) -> None:
        self._database = database
        self._job = job
        self._stop = stop
        self._last_seq = job.last_seq
        self._unwritten: list[LogLine] = []
        self._is_overtaken = False
        self._has_ended = asyncio.Event()

    @property
    def last_seq(self) -> int:
        """The last number of the job's events that is known to be stored."""
        return self._last_seq

    @property
    def unwritten(self) -> tuple[LogLine, ...]:
        """The last lines of a tool that ended while PostgreSQL was away."""
        return tuple(self._unwritten)

    def ended(self) -> None:
        """Wait for PostgreSQL no longer."""
        self._has_ended.set()

    async def log(self, lines: Sequence[LogLine]) -> None:
        """Store the next lines."""

        async def write() -> int | None:
            async with self._database.connect() as connection:
                return await events.append_lines(connection, self._job, lines, after=self._last_seq)

        # Once some were not stored, none after them may be.
        if self._unwritten or not await self._write(write):
            self._unwritten += lines

    async def progress(self, percent: float | None, message: str | None) -> None:
        """Store how far the tool is; a tool that has ended needs that no more."""

        async def write() -> int | None:
            async with self._database.connect() as connection:
                return await events.append_progress(
                    connection,
                    self._job,
                    percent=percent,
                    message=message,
                    after=self._last_seq,
                )

        if not self._unwritten:
            await self._write(write)

    async def _write(self, write: Callable[[], Awaitable[int | None]]) -> bool:
        """Store it, or find that nobody wants it; False when the tool ended before that."""
        while not self._is_overtaken:
            had_ended = self._has_ended.is_set()
            try:
                last_seq = await write()
            except StoreUnavailableError as error:
                log.warning("store away, waiting", what="event", reason=str(error))
                if had_ended:
                    return False
                await self._pause()
                continue
            if last_seq is not None:
                self._last_seq = last_seq
                return True
            self._is_overtaken = True
            log.warning("overtaken", job_id=str(self._job.id), fence=self._job.fence)
            self._stop.request(StopKind.TERMINATE)
        return True

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PAUSE_SECONDS):
                await self._has_ended.wait()


async def until_stored(write: Callable[[], Awaitable[_T]], *, what: str) -> _T:
    """Try *write* until PostgreSQL answers.

    Only for what may be done twice: an answer can get lost after the commit.
    """
    while True:
        try:
            return await write()
        except StoreUnavailableError as error:
            log.warning("store away, waiting", what=what, reason=str(error))
            await asyncio.sleep(_PAUSE_SECONDS)
