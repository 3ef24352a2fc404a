"""arq's worker, with the way it waits, takes and stops replaced by ours.

What stays arq's: its constructor and settings, its functions and their context, its format of a
delivery, its place in the event loop. What is ours: one blocking call over all queues instead of
polling one, deliveries that are popped when they are taken, no marks left in Redis, connections
that may fail, and a drain instead of a cancellation.
"""

import asyncio
import itertools
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog
from arq.typing import StartupShutdown
from arq.worker import Function
from arq.worker import Worker as StockWorker

from service.config import QUEUES
from service.errors import BrokerUnavailableError, Data20Error
from service.queue.broker import Broker
from service.queue.cancelling import cancel_all
from service.queue.delivery import read_call
from service.queue.waiting import BLOCK_SECONDS, WaitingConnection

log = structlog.stdlib.get_logger(__name__)

MOST_AT_ONCE = 100
"""Deliveries taken by one call; a larger pop holds the server for milliseconds."""


class DeliveryWorker(StockWorker):
    """Takes deliveries from several queues in strict order and runs their functions.

    `ctx["broker"]` is where it waits, *block_seconds* with each call. At the first SIGTERM or
    SIGINT it takes no more and calls *on_drain*; what still runs after *drain_seconds*, or at a
    second signal, *on_overdue* has to end, and what does not within *overdue_seconds* is cancelled.
    *on_shutdown* comes last, whatever happened before.

    While the broker is away, *from_store* is called for a free slot, every second or sooner: it
    finds its work elsewhere, sets the event that it is given when it has found some, and ends with
    it. It counts as a delivery.
    """

    def __init__(  # noqa: PLR0913  # Fewer than arq's own, all by name.
        self,
        functions: Sequence[Function | Any] = (),
        *,
        queues: Sequence[str] = QUEUES,
        max_jobs: int = 10,
        on_startup: StartupShutdown | None = None,
        on_shutdown: StartupShutdown | None = None,
        drain_seconds: float = 0,
        overdue_seconds: float = 15,
        on_drain: StartupShutdown | None = None,
        on_overdue: StartupShutdown | None = None,
        from_store: Callable[[dict[Any, Any], asyncio.Event], Coroutine[Any, Any, None]]
        | None = None,
        handle_signals: bool = True,
        block_seconds: float = BLOCK_SECONDS,
        ctx: dict[Any, Any] | None = None,
        **_: Any,  # noqa: ANN401  # What `arq` passes on from its command line, like `burst`.
    ) -> None:
        self._serves = tuple(queues)
        self._drain_seconds = drain_seconds
        self._overdue_seconds = overdue_seconds
        self._block_seconds = block_seconds
        self._on_drain = on_drain
        self._on_overdue = on_overdue
        self._from_store = from_store
        self._numbers = itertools.count(1)
        self._stopping = asyncio.Event()
        self._hurrying = asyncio.Event()
        self._slot_freed = asyncio.Event()
        super().__init__(
            functions,
            queue_name=self._serves[0],
            max_jobs=max_jobs,
            on_startup=on_startup,
            on_shutdown=on_shutdown,
            handle_signals=handle_signals,
            ctx=ctx,
        )

    async def main(self) -> None:
        """Start, serve until told to stop, drain, shut down."""
        try:
            if await self._unless_stopped(self._call(self.on_startup)):
                await self._serve(self.ctx["broker"])
                await self._drain()
        finally:
            await asyncio.shield(self._call(self.on_shutdown))

    def handle_sig(self, signum: signal.Signals) -> None:
        """Take no more deliveries; the second time, wait for nothing. For SIGTERM and SIGINT."""
        log.info("stopping", signal=signal.Signals(signum).name, running=len(self.tasks))
        if self._stopping.is_set():
            self._hurrying.set()
        self._stopping.set()

    async def close(self) -> None:
        """Nothing is left to close: `main` has, on every way out."""

    async def _serve(self, broker: Broker) -> None:
        connection = broker.waiting_connection(
            answer_within=self._block_seconds + BLOCK_SECONDS, block_seconds=self._block_seconds
        )
        try:
            # What a stopped call may just have popped is delivered again by the dispatcher.
            while await self._unless_stopped(self._take_once(connection)):
                pass
        finally:
            await connection.close()

    async def _unless_stopped(self, step: Coroutine[Any, Any, None]) -> bool:
        """Do one step; give it up, and return False, when a signal comes first."""
        doing = asyncio.ensure_future(step)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                await doing
                return not self._stopping.is_set()
            return False
        finally:
            await cancel_all((doing, stopping))

    async def _take_once(self, connection: WaitingConnection) -> None:
        """Wait for a free slot, then for deliveries, and start them."""
        free = self.max_jobs - len(self.tasks)
        if free <= 0:
            # Only then listen: one that listens while full takes what others could run.
            self._slot_freed.clear()
            await self._slot_freed.wait()
            return
        try:
            popped = await connection.pop(self._serves, min(free, MOST_AT_ONCE))
            if popped is None:
                return
            queue, entries = popped
            payloads = await connection.take_payloads([each for each, _ in entries])
        except BrokerUnavailableError as error:
            log.warning("broker lost", reason=str(error))
            if self.ctx["broker"].is_away:
                await self._take_from_store()
            await connection.pause_after_failure()
            return
        for (delivery_id, place), payload in zip(entries, payloads, strict=True):
            self._start(queue, delivery_id, place, payload)

    def _start(self, queue: str, delivery_id: str, place: float, payload: bytes | None) -> None:
        if payload is None:
            log.warning("delivery without content", delivery=delivery_id, queue=queue)
            return
        if delivery_id in self.tasks:
            log.info("delivered twice", delivery=delivery_id, queue=queue)
            return
        self._begin(delivery_id, self._run(queue, delivery_id, place, payload))

    async def _take_from_store(self) -> None:
        """Fill the free slots with what is found elsewhere, one after the other."""
        while self._from_store is not None and len(self.tasks) < self.max_jobs:
            found = asyncio.Event()
            taking = self._begin(f"store:{next(self._numbers)}", self._look_elsewhere(found))
            finding = asyncio.ensure_future(found.wait())
            try:
                await asyncio.wait({taking, finding}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                finding.cancel()
            if not found.is_set():
                return

    async def _look_elsewhere(self, found: asyncio.Event) -> None:
        assert self._from_store is not None  # noqa: S101  # Looked at just before.
        try:
            await self._from_store(self.ctx, found)
        except Exception:
            log.exception("work from the store failed")

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.tasks[name] = self.loop.create_task(work, name=f"delivery {name}")
        task.add_done_callback(lambda _: self._free(name))
        return task

    def _free(self, delivery_id: str) -> None:
        self.tasks.pop(delivery_id, None)
        self._slot_freed.set()

    async def _run(self, queue: str, delivery_id: str, place: float, payload: bytes) -> None:
        """Run one function. Whatever it does, only its own delivery suffers."""
        try:
            call = read_call(payload)
        except ValueError as error:
            log.error("delivery refused", delivery=delivery_id, queue=queue, reason=str(error))  # noqa: TRY400  # It is the sender's fault; our stack says nothing.
            return
        function = self.functions.get(call.function)
        if function is None:
            log.error("function unknown", delivery=delivery_id, function=call.function)
            return
        context = {**self.ctx, "job_id": delivery_id, "queue": queue, "score": place}
        try:
            await function.coroutine(context, *call.args, **call.kwargs)
            self.jobs_complete += 1
        except Data20Error as error:
            self.jobs_failed += 1
            log.error("delivery failed", delivery=delivery_id, reason=str(error))  # noqa: TRY400  # An error of the tree says all in its message.
        except Exception:
            self.jobs_failed += 1
            log.exception("delivery failed", delivery=delivery_id)

    async def _drain(self) -> None:
        await self._call(self._on_drain)
        # Waited for, not gathered: a function that was cancelled must not cancel the drain.
        finishing = asyncio.ensure_future(self._last_deliveries())
        hurrying = asyncio.ensure_future(self._hurrying.wait())
        await asyncio.wait(
            {finishing, hurrying},
            timeout=self._drain_seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
        hurrying.cancel()
        if not finishing.done():
            await self._call(self._on_overdue)
            await asyncio.wait({finishing}, timeout=self._overdue_seconds)
        for delivery_id, task in self.tasks.items():
            log.error("delivery cancelled", delivery=delivery_id)
            task.cancel()
        await finishing

    async def _last_deliveries(self) -> None:
        if self.tasks:
            await asyncio.wait(self.tasks.values())

    async def _call(self, hook: StartupShutdown | None) -> None:
        if hook is not None:
            await hook(self.ctx)
