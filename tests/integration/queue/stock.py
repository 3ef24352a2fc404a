"""arq's own worker, as it comes: what ours is compared with."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import orjson
from arq.connections import RedisSettings
from arq.worker import func

from service.config import BROKER_DATABASE
from service.queue.broker import database_url
from service.queue.worker import DeliveryWorker
from tests.servers import redis_client
from tests.waiting import until

# The module's own name for it is taken by ours, for the sake of arq's command.
StockWorker: Any = DeliveryWorker.__base__

QUEUE = "tools"

_LAST_SECONDS = 1.0
"""For what is about to end: cancelled then, it goes on in the background and spoils the next."""


class EndableWorker(StockWorker):
    """Ends between two polls when it is told to: cancelled in one, it would leak a connection."""

    is_over = False

    async def _poll_iteration(self) -> None:
        arqs_own: Any = super()
        await arqs_own._poll_iteration()
        if self.is_over:
            raise asyncio.CancelledError


def stock_settings(redis_url: str) -> RedisSettings:
    """Return the way to the broker's database in arq's own words."""
    return RedisSettings.from_dsn(database_url(redis_url, BROKER_DATABASE))


def stock_worker(
    redis_url: str,
    functions: Sequence[Callable[..., Coroutine[Any, Any, Any]]],
    **options: Any,  # noqa: ANN401  # arq's own.
) -> Any:  # noqa: ANN401  # Its type is arq's.
    """Return a worker that reads JSON, so that one client can write for both."""
    known = {
        "queue_name": QUEUE,
        "redis_settings": stock_settings(redis_url),
        "handle_signals": False,
        "job_serializer": _to_json,
        "job_deserializer": orjson.loads,
    }
    named = [func(cast("Any", each), name=each.__name__) for each in functions]
    return EndableWorker(named, **{**known, **options})


@asynccontextmanager
async def stock_serving(
    redis_url: str,
    functions: Sequence[Callable[..., Coroutine[Any, Any, Any]]],
    **options: Any,  # noqa: ANN401  # arq's own.
) -> AsyncGenerator[Any]:
    """Give such a worker while it serves; `main_task` is done when it has died."""
    worker = stock_worker(redis_url, functions, **options)
    serving = asyncio.create_task(worker.async_run())
    await asyncio.sleep(0)  # It makes its main task in its first step.
    try:
        await until(lambda: worker._pool or serving.done(), what="it to connect")
        yield worker
    finally:
        worker.is_over = True
        await asyncio.wait({serving, worker.main_task})
        for task in (serving, worker.main_task):
            if not task.cancelled():
                task.exception()
        if worker.tasks:
            await asyncio.wait(worker.tasks.values(), timeout=_LAST_SECONDS)
        # What it still runs is cancelled, and what becomes of that is nobody's concern here.
        with suppress(asyncio.CancelledError, Exception):
            await worker.close()
        if worker._pool is not None:
            await worker.pool.aclose(close_connection_pool=True)


def _to_json(value: dict[str, Any]) -> bytes:
    """Serialize what our own `to_json` does, and the errors in arq's results."""
    return orjson.dumps(value, default=str)


async def empty(redis_url: str) -> None:
    """Forget everything in the broker's database."""
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        await client.flushdb()


async def keys(redis_url: str, pattern: str = "*") -> list[str]:
    """Return the broker's keys, sorted."""
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        return sorted([key async for key in client.scan_iter(pattern)])


async def commands(redis_url: str) -> int:
    """Return how many commands the server has executed, those inside scripts too."""
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        stats = await client.info("commandstats")
    return sum(each["calls"] for each in stats.values())


def moment_ms(seconds_from_now: float = 0.0) -> int:
    """Return a moment as arq scores it."""
    return int((time.time() + seconds_from_now) * 1000)
