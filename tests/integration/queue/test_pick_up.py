"""How soon a delivery is taken, and what waiting for one costs."""

import statistics
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from service.config import BROKER_DATABASE
from service.queue.broker import Broker
from tests.integration.queue.serving import Record, call, serving
from tests.servers import redis_client
from tests.waiting import until

SLOW_SECONDS = 0.050
"""Many times what it takes on a machine with nothing else to do; polling takes more."""

BLOCK_SECONDS = 0.2


async def test_an_idle_worker_takes_a_delivery_at_once(broker: Broker) -> None:
    begun: list[float] = []

    async def note(_: dict[str, object]) -> None:
        begun.append(time.perf_counter())

    def has_begun(count: int) -> bool:
        return len(begun) == count

    took: list[float] = []
    async with serving(broker, [note]):
        for count in range(1, 51):
            sent = time.perf_counter()
            await broker.deliver([call(f"call-{count}")])
            await until(partial(has_begun, count), what="the call")
            took.append(begun[-1] - sent)
    assert statistics.median(took) < SLOW_SECONDS


async def test_an_idle_worker_makes_two_calls_each_time_it_has_waited(
    broker: Broker, redis_url: str
) -> None:
    async with (
        redis_client(redis_url, BROKER_DATABASE) as client,
        serving(broker, [Record().note], block_seconds=BLOCK_SECONDS),
    ):

        async def waits(more_often_than: int) -> dict[str, int] | None:
            counts = _counts(await client.info("commandstats"))
            return counts if counts.get("bzmpop", 0) > more_often_than else None

        at_start = _counts(await client.info("commandstats")).get("bzmpop", 0)
        before = await until(partial(waits, at_start), what="its first wait to end")
        begun_at = time.monotonic()
        assert before is not None
        after = await until(partial(waits, before["bzmpop"] + 4), what="five more")
        took = time.monotonic() - begun_at
    assert after is not None
    sent = {name: count - before.get(name, 0) for name, count in after.items()}
    sent.pop("info")  # Ours.
    # The second looks whether something deferred is due, by the server's clock.
    assert {name: count for name, count in sent.items() if count} == {
        "bzmpop": 5,
        "evalsha": 5,
        "time": 5,
        "zrange": 5,
    }
    assert took > BLOCK_SECONDS * 4


def _counts(stats: Mapping[str, Any]) -> dict[str, int]:
    """Return how often each command was executed since the server's start."""
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
