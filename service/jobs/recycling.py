"""Replace a worker process that has run many tools or has grown, before it can do harm.

No tool runs in a worker's own process, so what grows there grows slowly. Still none lives for ever:
it gives up its name, keeps its lease and with it its jobs, and goes on taking deliveries until its
successor has signed on under the name. Then it takes no more, and ends when its last job has.
"""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import replace

import psutil
import structlog

from service.errors import StoreUnavailableError
from service.jobs.context import Context
from service.store import workers
from service.store.workers import Worker

log = structlog.stdlib.get_logger(__name__)

_LOOK_SECONDS = 0.2

_LEAST_LEASES = 4
"""The least age of a process that is replaced. A start costs a second: at a thousand short jobs a
second, nothing else would be done."""

_MEGABYTE = 1 << 20


class Recycling:
    """One worker's end and succession.

    *begin_succession* has another process of the same name started; None where nobody can do that
    before this one has ended. *retire* has this one take no more deliveries.
    """

    def __init__(
        self,
        context: Context,
        *,
        retire: Callable[[], None],
        begin_succession: Callable[[], None] | None,
    ) -> None:
        self._context = context
        self._retire = retire
        self._begin_succession = begin_succession
        self._is_over = False
        self._began_at = time.monotonic()

    async def look(self) -> None:
        """Replace this worker when it is time; return when a successor is there.

        What is raised came before a successor was begun: the next look tries again.
        """
        age = time.monotonic() - self._began_at
        is_young = age < _LEAST_LEASES * self._context.settings.lease_seconds
        if is_young or self._is_over or self._context.is_draining:
            return
        why = find_reason(self._context)
        if why is None or not await self._step_aside():
            return
        log.info("recycling", worker=self._context.identity.name, reason=why)
        if self._begin_succession is not None:
            self._begin_succession()
            self._is_over = True
            await self._until_succeeded()
        self._retire()

    async def _step_aside(self) -> bool:
        """Give up the name. False while the row of an earlier process has the other one."""
        context = self._context
        name = f"{context.settings.worker}~{os.getpid()}"
        async with context.database.connect() as connection:
            if not await workers.rename(connection, context.identity.id, name):
                return False
        context.identity = replace(context.identity, name=name)
        return True

    async def _until_succeeded(self) -> None:
        while not self._context.is_draining:
            successor = await self._find_successor()
            if successor is not None and successor.is_alive:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _find_successor(self) -> Worker | None:
        """Return the worker that has the name now; `None` also while the store is away."""
        try:
            async with self._context.database.connect() as connection:
                return await workers.find(connection, self._context.settings.worker)
        except StoreUnavailableError:
            return None


def find_reason(context: Context) -> str | None:
    """Say why this process should be replaced; `None` when it should not."""
    settings = context.settings
    most = settings.max_tasks_per_child * settings.concurrency
    if most and context.begun >= most:
        return f"it has run {context.begun} jobs"
    used = psutil.Process().memory_info().rss // _MEGABYTE
    if settings.worker_memory_mb and used > settings.worker_memory_mb:
        return f"it uses {used} MB"
    return None
