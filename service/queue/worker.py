"""arq's worker, with the way it waits, takes and stops replaced by ours.

What stays arq's: its constructor and settings, its functions and their context, its format of a
delivery, its place in the event loop. What is ours: one blocking call over all queues instead of
polling one, deliveries that are popped when they are taken, no marks left in Redis, connections
that may fail, and a drain instead of a cancellation.
"""

import asyncio
import contextlib
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
from service.queue.delivery import Delivery, parking_place, read_call
from service.queue.intake import Intake
from service.queue.slots import Slots
from service.queue.waiting import BLOCK_SECONDS

log = structlog.stdlib.get_logger(__name__)

FAIR_SECONDS = 30.0
"""How long a queue may go unasked because those above it take every slot."""

_LAST_CALL_SECONDS = 1.0
"""For the call that is under way when the worker is told to stop."""

_HAND_BACK_SECONDS = 0.5


class DeliveryWorker(StockWorker):
    """Takes deliveries from several queues in strict order and runs their functions.

    `ctx["broker"]` is where it waits, *block_seconds* with each call. At the first SIGTERM or
    SIGINT it takes no more and calls *on_drain*; what still runs after *drain_seconds*, or at a
    second signal, *on_overdue* has to end, and what does not within *overdue_seconds* is cancelled.
    *on_shutdown* comes last, whatever happened before. `retire` is a stop without any haste: what
    runs may run to its end, unless a signal comes.

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
        fair_seconds: float = FAIR_SECONDS,
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
        self._signalled = asyncio.Event()
        self._hurrying = asyncio.Event()
        self._wake = asyncio.Event()
        self._asked: dict[str, int] = {}
        super().__init__(
            functions,
            queue_name=self._serves[0],
            max_jobs=max_jobs,
            on_startup=on_startup,
            on_shutdown=on_shutdown,
            handle_signals=handle_signals,
            ctx=ctx,
        )
        self._slots = Slots(self._serves, max_jobs, fair_seconds=fair_seconds, now=self.loop.time())

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
        if self._signalled.is_set():
            self._hurrying.set()
        self._signalled.set()
        self.retire()

    def retire(self) -> None:
        """Take no more deliveries, and end when the last one has."""
        self._stopping.set()
        self._wake.set()

    async def close(self) -> None:
        """Nothing is left to close: `main` has, on every way out."""

    async def _serve(self, broker: Broker) -> None:
        intake = Intake(broker, self._serves, self.functions, block_seconds=self._block_seconds)
        broker.on_away(self._wake.set)  # A frozen Redis leaves a blocked call waiting for long.
        taking = asyncio.ensure_future(self._take_until_stopped(intake, broker))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({taking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            # It ends by itself, and then loses nothing, unless Redis is silent.
            await asyncio.wait({taking}, timeout=_LAST_CALL_SECONDS)
            if taking.done():
                await taking
        finally:
            await cancel_all((taking, stopping))
            await intake.close()

    async def _take_until_stopped(self, intake: Intake, broker: Broker) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                taken = await self._take_once(intake)
            except BrokerUnavailableError as error:
                log.warning("broker lost", reason=str(error))
                if broker.is_away:
                    await self._take_from_store()
                await intake.pause_after_failure()
                continue
            for delivery in taken:
                if self._stopping.is_set():
                    await self._hand_back(delivery, delivery.queue)
                else:
                    self._start(delivery)

    async def _take_once(self, intake: Intake) -> list[Delivery]:
        """Wait for a free slot, or for deliveries, and return them."""
        slots = self._slots
        self._asked = rooms = slots.rooms()
        if not rooms:
            # Only listen with a free slot: one that listens while full takes what others could run.
            if not await self._wakes_within(intake.seconds_to_due):
                await intake.look({})
            return []
        turn = slots.turn(self.loop.time())
        if turn:
            taken = await intake.look(turn)
            slots.note(turn, (each.queue for each in taken), self.loop.time())
            if taken:
                return taken
        taken = await intake.take(rooms, self._wake)
        slots.note(rooms, (each.queue for each in taken), self.loop.time())
        return taken

    async def _wakes_within(self, seconds: float | None) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

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

    def _start(self, delivery: Delivery) -> None:
        if delivery.id in self.tasks:
            log.info("delivered twice", delivery=delivery.id, queue=delivery.queue)
            return
        self._begin(delivery.id, delivery.queue, self._run(delivery))

    async def _take_from_store(self) -> None:
        """Fill the free slots with what is found elsewhere, one after the other."""
        while self._from_store is not None and self._slots.free > 0:
            found = asyncio.Event()
            taking = self._begin(
                f"store:{next(self._numbers)}", self._serves[0], self._look_elsewhere(found)
            )
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

    def _begin(self, name: str, queue: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self._slots.hold(queue)
        task = self.tasks[name] = self.loop.create_task(work, name=f"delivery {name}")
        task.add_done_callback(lambda _: self._free(name, queue))
        return task

    def _free(self, name: str, queue: str) -> None:
        del self.tasks[name]
        self._slots.release(queue)
        if len(self._slots.rooms()) > len(self._asked):
            self._wake.set()  # There is room now for a queue that was not asked.

    async def _run(self, delivery: Delivery) -> None:
        """Run one function. Whatever it does, only its own delivery suffers."""
        try:
            call = read_call(delivery.payload)
        except ValueError as error:
            log.error("delivery refused", **_named(delivery), reason=str(error))  # noqa: TRY400  # It is the sender's fault; our stack says nothing.
            return
        function = self.functions.get(call.function)
        if function is None:
            # As in a rolling deploy: somebody newer knows it, or will.
            log.warning("function unknown", **_named(delivery), function=call.function)
            await self._hand_back(delivery, parking_place(delivery.queue, call.function))
            return
        given = {"job_id": delivery.id, "queue": delivery.queue, "score": delivery.score}
        try:
            await function.coroutine({**self.ctx, **given}, *call.args, **call.kwargs)
            self.jobs_complete += 1
        except Data20Error as error:
            self.jobs_failed += 1
            log.error("delivery failed", delivery=delivery.id, reason=str(error))  # noqa: TRY400  # An error of the tree says all in its message.
        except Exception:
            self.jobs_failed += 1
            log.exception("delivery failed", delivery=delivery.id)

    async def _hand_back(self, delivery: Delivery, place: str) -> None:
        """Put it back into Redis, as soon as that answers: nobody else knows of it now."""
        broker: Broker = self.ctx["broker"]
        while True:
            try:
                await broker.hand_back(delivery, place)
            except BrokerUnavailableError as error:
                log.warning("not handed back yet", **_named(delivery), reason=str(error))
                await asyncio.sleep(_HAND_BACK_SECONDS)
            else:
                return

    async def _drain(self) -> None:
        await self._call(self._on_drain)
        # Waited for, not gathered: a function that was cancelled must not cancel the drain.
        finishing = asyncio.ensure_future(self._last_deliveries())
        overdue = asyncio.ensure_future(self._overdue())
        await asyncio.wait({finishing, overdue}, return_when=asyncio.FIRST_COMPLETED)
        overdue.cancel()
        if not finishing.done():
            await self._call(self._on_overdue)
            await asyncio.wait({finishing}, timeout=self._overdue_seconds)
        for delivery_id, task in self.tasks.items():
            log.error("delivery cancelled", delivery=delivery_id)
            task.cancel()
        await finishing

    async def _overdue(self) -> None:
        """Return when what still runs has to end."""
        await self._signalled.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_seconds):
                await self._hurrying.wait()

    async def _last_deliveries(self) -> None:
        if self.tasks:
            await asyncio.wait(self.tasks.values())

    async def _call(self, hook: StartupShutdown | None) -> None:
        if hook is not None:
            await hook(self.ctx)


def _named(delivery: Delivery) -> dict[str, str]:
    return {"delivery": delivery.id, "queue": delivery.queue}
