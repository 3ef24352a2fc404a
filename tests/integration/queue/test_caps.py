"""How the slots of a worker are shared by its queues."""

from typing import Any

import pytest

from service.config import QUEUES
from service.queue.broker import Broker
from tests.integration.queue.serving import Record, call, depth, serving
from tests.waiting import until


async def _deliver(broker: Broker, queue: str, count: int, **options: Any) -> None:  # noqa: ANN401  # As `call`.
    await broker.deliver(
        [
            call(f"{queue}-{number}", queue, queue=queue, place=number, **options)
            for number in range(count)
        ]
    )


async def test_lower_queues_never_hold_more_than_half_the_slots(
    broker: Broker, redis_url: str
) -> None:
    """So a tool that comes now starts now, however much waits or runs elsewhere."""
    record = Record(is_open=False)
    async with serving(broker, [record.note], max_jobs=10):
        for queue in QUEUES[1:]:
            await _deliver(broker, queue, 20)
        assert len(await record.heard(5)) == 5
        await _deliver(broker, "tools", 20)
        everything = await record.heard(10)
        assert everything.count("maintenance") <= 2
        assert everything.count("tools") == 5
        assert await depth(redis_url, "tools") == 15
        record.open()
        await record.heard(60)


async def test_the_last_queue_holds_a_quarter(broker: Broker) -> None:
    record = Record(is_open=False)
    async with serving(broker, [record.note], max_jobs=8):
        await _deliver(broker, "maintenance", 8)
        assert await record.heard(2) == ["maintenance"] * 2
        # Were it to take more, it would before it takes these.
        await _deliver(broker, "default", 8)
        assert await record.heard(4) == ["maintenance"] * 2 + ["default"] * 2
        await _deliver(broker, "tools", 8)
        assert await record.heard(8) == ["maintenance"] * 2 + ["default"] * 2 + ["tools"] * 4
        record.open()
        await record.heard(24)


async def test_a_cap_that_is_reached_no_more_is_noticed_at_once(broker: Broker) -> None:
    """The worker waits for tools alone by then; it must not finish waiting first."""
    held, free = Record(is_open=False), Record()

    async def hold(ctx: dict[str, object], queue: str) -> None:
        await held.note(ctx, queue)

    async with serving(broker, [hold, free.note], max_jobs=4, block_seconds=60):
        await _deliver(broker, "default", 2, function="hold")
        await held.heard(2)
        await broker.deliver([call("behind", "behind", queue="default", place=5)])
        # One that is served proves that the worker has come to wait again, for tools alone.
        await broker.deliver([call("before", "before")])
        assert await free.heard(1) == ["before"]
        held.open()
        assert await free.heard(2, within=20) == ["before", "behind"]


@pytest.mark.parametrize("slots", [1, 4])
async def test_a_lower_queue_has_its_turn_under_a_flood_of_tools(
    broker: Broker, redis_url: str, slots: int
) -> None:
    record = Record()
    await _deliver(broker, "tools", 5000)
    for queue in QUEUES[1:]:
        await _deliver(broker, queue, 3)
    async with serving(broker, [record.note], max_jobs=slots, fair_seconds=0.01):
        await until(
            lambda: {"default", "maintenance"} <= set(record.calls),
            what="a turn of each",
            within=30,
        )
        assert await depth(redis_url) > 0
        await record.heard(5006, within=60)
