"""What a tool says while it runs, written down as events of its job."""

import asyncio
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

    When the job turns out to be somebody else's, the tool is killed.
    """

    def __init__(self, database: Database, job: Job, stop: Stop) -> None:
        self._database = database
        self._job = job
        self._stop = stop
        self._last_seq = job.last_seq
        self._is_overtaken = False

    async def log(self, lines: Sequence[LogLine]) -> None:
        """Store the next lines."""

        async def write() -> int | None:
            async with self._database.connect() as connection:
                return await events.append_lines(connection, self._job, lines, after=self._last_seq)

        await self._write(write)

    async def progress(self, percent: float | None, message: str | None) -> None:
        """Store how far the tool is."""

        async def write() -> int | None:
            async with self._database.connect() as connection:
                return await events.append_progress(
                    connection,
                    self._job,
                    percent=percent,
                    message=message,
                    after=self._last_seq,
                )

        await self._write(write)

    async def _write(self, write: Callable[[], Awaitable[int | None]]) -> None:
        if self._is_overtaken:
            return
        last_seq = await until_stored(write, what="event")
        if last_seq is None:
            self._is_overtaken = True
            log.warning("overtaken", job_id=str(self._job.id), fence=self._job.fence)
            self._stop.request(StopKind.TERMINATE)
        else:
            self._last_seq = last_seq


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
