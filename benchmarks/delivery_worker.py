"""One worker that does nothing with its deliveries but count them: ours, or arq's own.

Started by `delivery.py`. It says `ready` on its standard output, waits for a line on its standard
input, serves until SIGTERM, and then prints what it saw as JSON.
"""

import asyncio
import json
import sys
import time
from typing import Any

import orjson
import psutil
from arq.connections import RedisSettings
from arq.worker import Worker as StockWorker
from arq.worker import func

from service.config import BROKER_DATABASE
from service.queue.broker import Broker, database_url
from service.queue.control import Due, Wish, listen
from service.queue.delivery import to_json
from service.queue.worker import DeliveryWorker

MAX_JOBS = 10

_begun_at: list[int] = []
_took_ns: list[int] = []


async def note(ctx: dict[Any, Any], sent_at_ns: int) -> None:  # noqa: ARG001  # arq's form.
    """Do nothing; the first line of a job function is where its pick-up ends."""
    now = time.monotonic_ns()
    _begun_at.append(now)
    _took_ns.append(now - sent_at_ns)


def serve_with_arq(url: str) -> None:
    """Run arq's own worker, as its documentation says, on the queue `tools`."""
    StockWorker(
        functions=[func(note, name="note")],
        queue_name="tools",
        redis_settings=RedisSettings.from_dsn(database_url(url, BROKER_DATABASE)),
        max_jobs=MAX_JOBS,
        on_startup=_wait_for_start,
        job_serializer=to_json,
        job_deserializer=orjson.loads,
    ).run()


def serve_with_ours(url: str) -> None:
    """Run our worker, with the channel on which it hears of cancellations."""

    async def heed(_: Wish | Due) -> None:
        """Nobody cancels here."""

    async def start(ctx: dict[Any, Any]) -> None:
        ctx["broker"] = Broker(url, name="bench")
        ctx["listening"] = asyncio.create_task(listen(ctx["broker"], heed))
        await _wait_for_start(ctx)

    async def end(ctx: dict[Any, Any]) -> None:
        ctx["listening"].cancel()
        await asyncio.wait({ctx["listening"]})
        await ctx["broker"].close()

    DeliveryWorker(
        [func(note, name="note")],
        max_jobs=MAX_JOBS,
        on_startup=start,
        on_shutdown=end,
        drain_seconds=10,
        ctx={},
    ).run()


async def _wait_for_start(ctx: dict[Any, Any]) -> None:  # noqa: ARG001  # arq's form.
    print("ready", flush=True)
    sys.stdin.readline()  # Nothing else is to happen here before.


def main() -> None:
    """Serve, and print."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    {"ours": serve_with_ours, "arq": serve_with_arq}[sys.argv[1]](sys.argv[2])
    print(
        json.dumps(
            {
                "jobs": len(_begun_at),
                "first": min(_begun_at, default=0) / 1e9,
                "last": max(_begun_at, default=0) / 1e9,
                "took_ms": [took / 1e6 for took in _took_ns],
                "megabytes": psutil.Process().memory_info().rss / 1e6,
            }
        )
    )


if __name__ == "__main__":
    main()
