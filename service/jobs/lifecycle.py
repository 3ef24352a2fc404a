"""A worker's life around its deliveries: sign on, keep the lease, drain, sign off."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from functools import partial
from typing import Any

import structlog

from service.errors import StoreUnavailableError, WorkerNameTakenError
from service.execution.stop import StopKind
from service.jobs.context import Context
from service.jobs.dispatch import dispatch
from service.jobs.finish import replay
from service.jobs.journal import until_stored
from service.jobs.lease import bury_standbys, heartbeat, sign_on
from service.jobs.recycling import Recycling
from service.jobs.rescue import rescue
from service.jobs.restore import restore
from service.jobs.rounds import every, when_due
from service.jobs.sweep import sweep
from service.jobs.timekeeper import Timekeeper
from service.queue.cancelling import cancel_all
from service.queue.control import Due, Wish, listen
from service.queue.timetable import Timetable
from service.store import workers
from service.store.workers import Worker

log = structlog.stdlib.get_logger(__name__)

_PAUSE_SECONDS = 0.5
_SWEEP_SECONDS = 3600.0


class Lifecycle:
    """The hooks that arq's worker calls; each is handed arq's own context and needs ours only."""

    def __init__(
        self,
        context: Context,
        timetable: Timetable = (),
        recycling: Recycling | None = None,
    ) -> None:
        self._context = context
        self._recycling = recycling
        self._timekeeper = Timekeeper(context, timetable)
        self._chores: list[asyncio.Task[None]] = []

    async def start(self, ctx: dict[Any, Any]) -> None:  # noqa: ARG002  # arq's signature.
        """Sign on, as soon as PostgreSQL answers, and begin the chores.

        Raises WorkerNameTakenError.
        """
        context, settings = self._context, self._context.settings
        context.database.on_lost(context.regularity.break_off)
        await self._sign_on()
        chores = [
            every(settings.heartbeat_seconds, self._keep_lease, name="heartbeat"),
            every(settings.dispatch_seconds, partial(rescue, context), name="rescue"),
            every(_SWEEP_SECONDS, partial(sweep, context), name="sweep"),
            # It ends by itself only when something broke it.
            every(_PAUSE_SECONDS, partial(listen, context.broker, self._heed), name="control"),
        ]
        if context.identity.is_standby:
            with contextlib.suppress(StoreUnavailableError):
                await bury_standbys(context)
        else:
            chores += self._workers_chores()
        self._chores = [asyncio.create_task(chore) for chore in chores]
        log.info(
            "worker ready",
            worker=context.identity.name,
            queues=",".join(context.identity.queues),
            concurrency=context.identity.concurrency,
            isolation=str(context.isolation),
            tools=len(context.catalog.tools()),
        )

    async def _recycle(self) -> None:
        if self._recycling is not None:
            await self._recycling.look()

    def _workers_chores(self) -> list[Coroutine[Any, Any, None]]:
        """What a standby leaves to workers: it must not deliver to any that are not there."""
        context, settings = self._context, self._context.settings
        seconds = settings.dispatch_seconds
        return [
            every(settings.heartbeat_seconds, self._recycle, name="recycle"),
            when_due(context.alarm, seconds, partial(dispatch, context), name="dispatch"),
            every(seconds, partial(restore, context), name="restore"),
            every(seconds, self._timekeeper.recover, name="cron recovery"),
            # It ends by itself only when something broke it.
            every(_PAUSE_SECONDS, self._timekeeper.keep, name="cron"),
        ]

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
        await cancel_all(self._chores)
        await self._timekeeper.close()
        context = self._context
        await context.ledger.settle()
        with contextlib.suppress(StoreUnavailableError):
            async with context.database.connect() as connection:
                await workers.sign_off(connection, context.identity.id)
        await context.broker.close()
        await context.database.close()
        log.info("worker ended", worker=context.identity.name)

    async def _sign_on(self) -> None:
        """Wait for PostgreSQL, and for the lease of a predecessor that renews it no more.

        A worker that was killed may have left its name for one lease, when nothing proves it gone
        because it ran in another container. One that renews is alive.
        Raises WorkerNameTakenError.
        """
        rival: Worker | None = None
        while not await self._has_signed_on(rival):
            rival = rival or await self._find_rival()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _has_signed_on(self, rival: Worker | None) -> bool:
        try:
            await replay(self._context)  # Before the jobs that it is of count as lost.
            await sign_on(self._context)
        except StoreUnavailableError as error:
            log.warning("store away, waiting", reason=str(error))
            return False
        except WorkerNameTakenError:
            now = await self._find_rival()
            if rival is not None and now is not None and now.lease_until != rival.lease_until:
                raise
            return False
        return True

    async def _find_rival(self) -> Worker | None:
        """Return the worker that has our name; `None` also while the store is away."""
        try:
            async with self._context.database.connect() as connection:
                return await workers.find(connection, self._context.identity.name)
        except StoreUnavailableError:
            return None

    async def _keep_lease(self) -> None:
        """Renew the lease, trying again soon while PostgreSQL is away: a lease is short."""
        try:
            await until_stored(partial(heartbeat, self._context), what="heartbeat")
        except WorkerNameTakenError as error:
            # Whatever it claimed now would at once count as lost.
            log.error("worker replaced", reason=str(error))  # noqa: TRY400  # The message says all.
            if not self._context.identity.is_standby:  # The API does more than run jobs.
                signal.raise_signal(signal.SIGTERM)

    async def _heed(self, nudge: Wish | Due) -> None:
        """Look when a delivery falls due, or stop a job that runs here, as somebody wishes."""
        if isinstance(nudge, Due):
            self._context.alarm.ring_in(nudge.in_seconds)
            return
        self._context.heed(nudge)
