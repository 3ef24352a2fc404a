"""Workers without tools or rows: they only take deliveries and call plain functions."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

from arq.jobs import serialize_job
from arq.worker import func

from service.config import BROKER_DATABASE
from service.errors import BrokerUnavailableError
from service.queue.broker import Broker
from service.queue.delivery import Delivery, to_json
from service.queue.worker import DeliveryWorker
from tests.servers import redis_client
from tests.waiting import until

JobFunction: TypeAlias = Callable[..., Coroutine[Any, Any, None]]


class Record:
    """A function that notes what it was called with, and ends when it is let."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.calls: list[Any] = []
        self.running = 0
        self.most_running = 0
        self._gate = asyncio.Event()
        if is_open:
            self._gate.set()

    def open(self) -> None:
        """Let every call end."""
        self._gate.set()

    async def note(self, ctx: dict[str, Any], *given: Any) -> None:  # noqa: ANN401, ARG002  # As arq calls it.
        """Be called."""
        self.calls.append(given[0] if len(given) == 1 else given)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self._gate.wait()
        finally:
            self.running -= 1

    async def heard(self, count: int, *, within: float = 10.0) -> list[Any]:
        """Return the calls when there are *count* of them."""
        await until(lambda: len(self.calls) >= count, what=f"{count} calls", within=within)
        return self.calls


def call(
    delivery_id: str, *args: object, queue: str = "tools", place: int = 0, function: str = "note"
) -> Delivery:
    """Return a delivery that calls a function."""
    payload = serialize_job(function, args, {}, None, 0, serializer=to_json)
    return Delivery(delivery_id, queue, place, payload)


def calls(count: int) -> list[Delivery]:
    """Return deliveries that call with 0, 1, 2, ..., in that order."""
    return [call(f"call-{number}", number, place=number) for number in range(count)]


async def deliver_again(broker: Broker, delivery: Delivery) -> None:
    """Deliver as soon as Redis, which is back, is asked again."""

    async def is_delivered() -> bool:
        try:
            await broker.deliver([delivery])
        except BrokerUnavailableError:
            return False
        return True

    await until(is_delivered, what="a delivery to be taken")


async def depth(redis_url: str, queue: str = "tools") -> int:
    """Return how many deliveries wait."""
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        return await client.zcard(queue)


@asynccontextmanager
async def serving(
    broker: Broker,
    functions: Sequence[JobFunction],
    **options: Any,  # noqa: ANN401  # The worker's own.
) -> AsyncGenerator[DeliveryWorker]:
    """Give a worker that serves; stop it afterwards, and wait until it has."""
    named = [func(cast("Any", each), name=each.__name__) for each in functions]
    worker = DeliveryWorker(named, handle_signals=False, ctx={"broker": broker}, **options)
    serving = asyncio.create_task(worker.async_run())
    try:
        yield worker
    finally:
        worker.handle_sig(signal.SIGTERM)
        await asyncio.wait_for(serving, 30)
