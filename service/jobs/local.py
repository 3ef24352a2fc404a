"""Local execution: the API process runs jobs itself while no worker can have them."""

import asyncio
import contextlib
from dataclasses import replace

import structlog

from service.config import QUEUES, Settings
from service.errors import (
    BrokerUnavailableError,
    SettingsError,
    StoreUnavailableError,
    WorkerNameTakenError,
)
from service.execution.artifacts import ArtifactStore
from service.execution.isolation import detect_isolation
from service.jobs.attendance import Attendance
from service.jobs.context import Context
from service.jobs.dispatch import dispatch
from service.jobs.lease import identify_standby
from service.jobs.lifecycle import Lifecycle
from service.jobs.run_tool import run_claimed
from service.jobs.run_waiting import claim_next
from service.queue.broker import Broker
from service.queue.cancelling import cancel_all
from service.queue.control import Wish
from service.queue.delivery import Delivery
from service.store import workers
from service.store.database import Database
from service.store.jobs import DELIVERY_GRACE_SECONDS
from service.store.records import Job
from service.tools.catalog import Catalog

log = structlog.stdlib.get_logger(__name__)

_LOOK_SECONDS = 1.0
"""Between two looks at who serves the queues, however many jobs come."""

_AWAY_SECONDS = 0.5
"""Between two looks whether Redis is back."""

_HAND_OVER_SECONDS = DELIVERY_GRACE_SECONDS + 2 * _LOOK_SECONDS
"""How long to look for what is to be handed over: the youngest job is due only after its grace."""

_LAST_CALL_SECONDS = 10.0
"""For a claim that is under way when the process is stopped: longer than PostgreSQL may take."""

_LAST_SECONDS = 5.0
"""For what comes after a killed tool: its files and its row."""

_SPARE_CONNECTIONS = 4
"""For heartbeat, rescue, a claim and the dispatcher, beside one for each running job."""


class LocalExecution:
    """Runs jobs here, a few at a time, as long as their queues have no other way to a worker.

    A queue has none while Redis takes no deliveries, and while no live worker serves it. The jobs
    go by priority and arrival, all queues alike, through the same claim, execution and finish as
    in a worker, and belong to a lease as a worker's do. What has not begun when the way is there
    again goes to the workers.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lifecycle = Lifecycle(context)
        self._attendance = Attendance(QUEUES, context.settings.local_after_seconds)
        self._deserted: frozenset[str] = frozenset()
        self._queues: frozenset[str] = frozenset()
        self._next_look_at = 0.0
        self._hands_over_until = 0.0
        self._has_signed_on = False
        self._runs: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._hurrying = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, as soon as PostgreSQL answers."""
        self._serving = asyncio.create_task(self._serve(), name="local execution")

    def takes(self, queue: str) -> bool:
        """Tell whether a job of *queue* is run here, so that no delivery is to be tried."""
        context = self._context
        if not self._has_signed_on or context.is_draining:
            return False
        return queue in self._queues or not context.broker.takes_deliveries

    def wake(self) -> None:
        """Look at once: there is a new job."""
        self._woken.set()

    def heed(self, wish: Wish) -> None:
        """Stop a job if it runs here, without the way through Redis."""
        self._context.heed(wish)

    def ask_to_stop(self) -> None:
        """Claim no more; the second time, have `stop` wait for no job. For SIGTERM and SIGINT."""
        if self._context.is_draining:
            self._hurrying.set()
        self._context.is_draining = True

    async def stop(self) -> None:
        """Claim no more, let jobs finish for a while, hand back the others, and sign off."""
        settings = self._context.settings
        await self._lifecycle.drain({})
        if self._serving is not None:
            self._woken.set()
            await asyncio.wait({self._serving}, timeout=_LAST_CALL_SECONDS)
            await cancel_all([self._serving])
        await self._wait_for_runs(settings.drain_seconds)
        if self._runs:
            await self._lifecycle.release({})
            await asyncio.wait(self._runs, timeout=settings.grace_seconds + _LAST_SECONDS)
            await cancel_all(self._runs)
        await self._lifecycle.end({})

    async def _wait_for_runs(self, seconds: float) -> None:
        hurrying = asyncio.ensure_future(self._hurrying.wait())
        finishing = asyncio.ensure_future(_all_done(self._runs))
        try:
            await asyncio.wait(
                {hurrying, finishing}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            await cancel_all((hurrying, finishing))

    async def _serve(self) -> None:
        await self._sign_on()
        while not self._context.is_draining:
            self._woken.clear()  # Before looking, so that a job that comes meanwhile wakes us.
            try:
                await self._look()
                await self._fill()
            except (StoreUnavailableError, BrokerUnavailableError) as error:
                log.warning("local execution put off", reason=str(error))
            except Exception:
                log.exception("local execution failed")
            is_away = not self._context.broker.takes_deliveries
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AWAY_SECONDS if is_away else _LOOK_SECONDS):
                    await self._woken.wait()

    async def _sign_on(self) -> None:
        while not self._has_signed_on:
            try:
                await self._lifecycle.start({})
            except WorkerNameTakenError as error:
                log.warning("no local execution yet", reason=str(error))
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                self._has_signed_on = True

    async def _look(self) -> None:
        """Find out for which queues to stand in, and hand over those that need it no more."""
        context = self._context
        if not context.broker.takes_deliveries:
            with contextlib.suppress(BrokerUnavailableError):
                await context.broker.probe()
        now = asyncio.get_running_loop().time()
        if now >= self._next_look_at:
            self._next_look_at = now + _LOOK_SECONDS
            async with context.database.connect() as connection:
                served = await workers.served_queues(
                    connection, trusts_leases=context.regularity.is_given
                )
            self._deserted = self._attendance.saw(served)
        before = self._queues
        self._queues = self._deserted if context.broker.takes_deliveries else frozenset(QUEUES)
        if self._queues - before:
            log.warning("running jobs here", queues=",".join(sorted(self._queues)))
        if before - self._queues:
            log.info("workers have these again", queues=",".join(sorted(before - self._queues)))
            self._hands_over_until = now + _HAND_OVER_SECONDS
        if now < self._hands_over_until:
            await dispatch(context)

    async def _fill(self) -> None:
        """Begin jobs while there are any, and slots."""
        while self._queues and len(self._runs) < self._context.identity.concurrency:
            job = await claim_next(self._context, self._queues)
            if job is None:
                return
            run = asyncio.create_task(self._run(job), name=f"local {job.id}")
            self._runs.add(run)
            run.add_done_callback(self._free)

    async def _run(self, job: Job) -> None:
        try:
            await self._withdraw(job)
            await run_claimed(self._context, job)
        except Exception:
            log.exception("local job failed", job_id=str(job.id))

    async def _withdraw(self, job: Job) -> None:
        """Spare the workers to come a delivery that is claimed already."""
        if not self._context.broker.takes_deliveries:
            return
        with contextlib.suppress(BrokerUnavailableError):
            await self._context.broker.withdraw([Delivery.of(replace(job, fence=job.fence - 1))])

    def _free(self, run: asyncio.Task[None]) -> None:
        self._runs.discard(run)
        self._woken.set()


async def open_local(
    settings: Settings, broker: Broker, catalog: Catalog, artifacts: ArtifactStore
) -> LocalExecution | None:
    """Prepare local execution beside what else the API does, with connections of its own.

    `None` when it is not wanted. Raises SettingsError when it is not told where PostgreSQL is.
    """
    if settings.database_url is None:
        raise SettingsError("DATABASE_URL: is needed here; `data20 up` starts servers itself")
    if settings.local_concurrency == 0:
        return None
    isolation = await asyncio.to_thread(detect_isolation)
    identity = identify_standby(settings, isolation)
    context = Context(
        settings=settings,
        database=Database(
            settings.database_url.get_secret_value(),
            name=identity.name,
            pool_size=settings.local_concurrency + _SPARE_CONNECTIONS,
        ),
        broker=broker,
        catalog=catalog,
        artifacts=artifacts,
        isolation=isolation,
        identity=identity,
    )
    return LocalExecution(context)


async def _all_done(runs: set[asyncio.Task[None]]) -> None:
    if runs:
        await asyncio.wait(runs)
