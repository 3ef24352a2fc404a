"""Other programs that use arq's own client: what they ask for is done, when they ask for it."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import partial

from arq.connections import ArqRedis

from service.config import BROKER_DATABASE
from service.queue.broker import Broker
from service.queue.intake import ASIDE
from tests.integration.queue.serving import JobFunction, Record, calls, depth, serving
from tests.servers import redis_client
from tests.waiting import until

LATE_SECONDS = 1.0


class Times:
    """A function that notes when it was called."""

    def __init__(self) -> None:
        self.called_at: dict[object, float] = {}

    async def note(self, _: dict[str, object], what: object, *, extra: object = None) -> None:
        """Be called."""
        self.called_at[what if extra is None else (what, extra)] = time.time()

    async def heard(self, count: int, *, within: float = 20.0) -> None:
        """Return when it was called with as many different things."""
        await until(lambda: len(self.called_at) >= count, what=f"{count} calls", within=within)


def _noting(times: Times) -> list[JobFunction]:
    return [times.note]


async def test_what_it_enqueues_is_run_with_all_it_says(broker: Broker, producer: ArqRedis) -> None:
    times = Times()
    async with serving(broker, _noting(times)):
        await producer.enqueue_job("note", "plain")
        await producer.enqueue_job("note", "named", _job_id="its own")
        await producer.enqueue_job("note", "lower", _queue_name="maintenance", extra=7)
        await times.heard(3)
    assert set(times.called_at) == {"plain", "named", ("lower", 7)}


async def test_a_name_of_its_own_keeps_a_second_one_out_while_the_first_waits(
    broker: Broker, producer: ArqRedis
) -> None:
    """And no longer: nothing is kept that could swallow a later one."""
    assert await producer.enqueue_job("note", "first", _job_id="same") is not None
    assert await producer.enqueue_job("note", "refused", _job_id="same") is None
    times = Times()
    async with serving(broker, _noting(times)):
        await times.heard(1)
        assert await producer.enqueue_job("note", "later", _job_id="same") is not None
        await times.heard(2)
    assert list(times.called_at) == ["first", "later"]


async def test_a_deferred_one_is_run_in_its_time(broker: Broker, producer: ArqRedis) -> None:
    times = Times()
    async with serving(broker, _noting(times), max_jobs=1):
        now = datetime.now(UTC)
        due = {number: now + timedelta(seconds=number / 4) for number in (6, 2, 4)}
        for number, moment in due.items():
            await producer.enqueue_job("note", number, _defer_until=moment)
        await producer.enqueue_job("note", 8, _defer_by=2.0)
        await producer.enqueue_job("note", 0)
        await times.heard(5)
    assert list(times.called_at) == [0, 2, 4, 6, 8]
    due[8] = now + timedelta(seconds=2)
    for number, moment in due.items():
        # Moments are milliseconds in Redis.
        assert -0.001 <= times.called_at[number] - moment.timestamp() <= LATE_SECONDS


async def test_waiting_for_what_is_deferred_costs_nothing(
    broker: Broker, producer: ArqRedis, redis_url: str
) -> None:
    async with redis_client(redis_url, BROKER_DATABASE) as client:

        async def looks() -> int:
            stats = await client.info("commandstats")
            return stats.get("cmdstat_evalsha", {}).get("calls", 0)

        async with serving(broker, _noting(Times()), block_seconds=0.2):
            for number in range(10):
                await producer.enqueue_job("note", number, _defer_by=3600)
            await until(partial(_aside, redis_url, 10), what="them to be set aside")
            assert await depth(redis_url) == 0
            before, began_at = await looks(), time.monotonic()

            async def have_looked() -> bool:
                return await looks() > before + 4

            await until(have_looked, what="five rounds")
            assert time.monotonic() - began_at > 0.2 * 4


async def _aside(redis_url: str, count: int) -> bool:
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        return await client.zcard(ASIDE) == count


async def test_it_is_run_though_who_set_it_aside_is_gone(
    broker: Broker, producer: ArqRedis, redis_url: str
) -> None:
    """Another worker finds it the next time it looks."""
    first, second = Times(), Times()
    async with serving(broker, _noting(first)):
        await producer.enqueue_job("note", "kept", _defer_by=2.0)
        due_at = time.time() + 2.0
        await until(partial(_aside, redis_url, 1), what="it to be set aside")
    async with serving(broker, _noting(second)):
        await second.heard(1)
    assert first.called_at == {}
    assert due_at - 0.1 <= second.called_at["kept"] <= due_at + LATE_SECONDS


async def test_a_worker_without_a_free_slot_leaves_it_to_another(
    broker: Broker, producer: ArqRedis, redis_url: str
) -> None:
    """It set it aside, so it puts it back in time, though it cannot run it."""
    full, free = Record(is_open=False), Times()

    async def note(_: dict[str, object], *given: object) -> None:
        await full.note({}, *given)

    async with serving(broker, [note], max_jobs=2):
        await producer.enqueue_job("note", "deferred", _defer_by=1.5)
        due_at = time.time() + 1.5
        await until(partial(_aside, redis_url, 1), what="it to be set aside")
        await broker.deliver(calls(2))
        await full.heard(2)
        await until(partial(depth, redis_url), what="it to be put back")
        assert due_at - 0.1 <= time.time() <= due_at + LATE_SECONDS
        async with serving(broker, _noting(free)):
            await free.heard(1)
        full.open()


async def test_many_deferred_ones_do_not_hold_up_what_is_due(
    broker: Broker, producer: ArqRedis, redis_url: str
) -> None:
    """Their scores come before those of our own deliveries, and one call does not take all."""
    await asyncio.gather(
        *(producer.enqueue_job("note", number, _defer_by=3600) for number in range(500))
    )
    times = Times()
    async with serving(broker, _noting(times)):
        await producer.enqueue_job("note", "now")
        await times.heard(1)
        await until(partial(_aside, redis_url, 500), what="them to be set aside")
    assert list(times.called_at) == ["now"]
