"""A worker's life around its deliveries: sign on, keep the lease, drain, sign off."""

import asyncio
import contextlib
import signal
from functools import partial
from typing import Any

import structlog

from service.errors import StoreUnavailableError, WorkerNameTakenError
from service.execution.stop import StopKind
from service.jobs.context import Context
from service.jobs.dispatch import dispatch
from service.jobs.lease import heartbeat, sign_on
from service.jobs.rescue import rescue
from service.jobs.rounds import every
from service.queue.control import Wish, listen
from service.store import workers

log = structlog.stdlib.get_logger(__name__)

_PAUSE_SECONDS = 0.5


class Lifecycle:
    """The hooks that arq's worker calls; each is handed arq's own context and needs ours only."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._chores: list[asyncio.Task[None]] = []

    async def start(self, ctx: dict[Any, Any]) -> None:  # noqa: ARG002  # arq's signature.
        """Sign on, as soon as PostgreSQL answers, and begin the chores.

        Raises WorkerNameTakenError.
        """
        context, settings = self._context, self._context.settings
        while True:
            try:
                await sign_on(context)
                break
            except StoreUnavailableError as error:
                log.warning("store away, waiting", reason=str(error))
                await asyncio.sleep(_PAUSE_SECONDS)
        chores = (
            every(settings.heartbeat_seconds, self._keep_lease, name="heartbeat"),
            every(settings.dispatch_seconds, partial(rescue, context), name="rescue"),
            every(settings.dispatch_seconds, partial(dispatch, context), name="dispatch"),
            listen(context.broker, self._heed),
        )
        self._chores = [asyncio.create_task(chore) for chore in chores]
        log.info(
            "worker ready",
            worker=context.identity.name,
            queues=",".join(settings.queues),
            concurrency=settings.concurrency,
            isolation=str(context.isolation),
            tools=len(context.catalog.tools()),
        )

    async def drain(self, ctx: dict[Any, Any]) -> None:  # noqa: ARG002  # arq's signature.
        """Claim no more, and show it."""
        context = self._context
        context.is_draining = True
        with contextlib.suppress(StoreUnavailableError):
            async with context.database.connect() as connection:
                await workers.mark_draining(connection, context.identity.id)

    async def release(self, ctx: dict[Any, Any]) -> None:  # noqa: ARG002  # arq's signature.
        """Have what still runs end and handed back."""
        self._context.stop_all(StopKind.RELEASE)

    async def end(self, ctx: dict[Any, Any]) -> None:  # noqa: ARG002  # arq's signature.
        """Sign off and close everything."""
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        context = self._context
        with contextlib.suppress(StoreUnavailableError):
            async with context.database.connect() as connection:
                await workers.sign_off(connection, context.identity.id)
        await context.broker.close()
        await context.database.close()
        log.info("worker ended", worker=context.identity.name)

    async def _keep_lease(self) -> None:
        try:
            await heartbeat(self._context)
        except WorkerNameTakenError as error:
            # Whatever it claimed now would at once count as lost.
            log.error("worker replaced", reason=str(error))  # noqa: TRY400  # The message says all.
            signal.raise_signal(signal.SIGTERM)

    async def _heed(self, wish: Wish) -> None:
        """Stop a job that runs here, as somebody wishes."""
        running = self._context.running.get(wish.job_id)
        if running is not None:
            running.stop.request(StopKind.TERMINATE if wish.terminates else StopKind.CANCEL)
