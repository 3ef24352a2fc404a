"""Which delivery a worker takes next, and how many."""

from datetime import UTC, datetime, timedelta

from service.config import QUEUES
from service.queue.broker import Broker
from service.queue.delivery import score
from tests.integration.queue.serving import Record, call, calls, depth, serving
from tests.waiting import until

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def test_the_most_urgent_goes_first_and_of_these_the_oldest(broker: Broker) -> None:
    """Those of one priority in the order in which they came, to the microsecond."""
    waiting = [(priority, arrived) for arrived in range(5) for priority in (10, 5, 1)]
    await broker.deliver(
        [
            call(
                f"{priority}-{arrived}",
                [priority, arrived],
                place=score(priority, NOW + timedelta(microseconds=arrived)),
            )
            for priority, arrived in waiting
        ]
    )
    record = Record()
    async with serving(broker, [record.note], max_jobs=1):
        served = await record.heard(len(waiting))
    assert served == [list(each) for each in sorted(waiting)]


async def test_a_lower_queue_waits_until_the_higher_ones_are_empty(broker: Broker) -> None:
    for queue in reversed(QUEUES):
        await broker.deliver([call(f"{queue}-{number}", queue, queue=queue) for number in range(3)])
    record = Record()
    async with serving(broker, [record.note], max_jobs=1):
        served = await record.heard(9)
    assert served == [queue for queue in QUEUES for _ in range(3)]


async def test_a_worker_serves_only_its_queues_in_its_own_order(
    broker: Broker, redis_url: str
) -> None:
    for queue in QUEUES:
        await broker.deliver([call(queue, queue, queue=queue)])
    record = Record()
    async with serving(broker, [record.note], queues=("maintenance", "tools"), max_jobs=1):
        assert await record.heard(2) == ["maintenance", "tools"]
    assert await depth(redis_url, "default") == 1


async def test_a_full_worker_leaves_the_rest_to_others(broker: Broker, redis_url: str) -> None:
    await broker.deliver(calls(5))
    first, second = Record(is_open=False), Record(is_open=False)
    async with serving(broker, [first.note], max_jobs=2):
        assert await first.heard(2) == [0, 1]
        assert await depth(redis_url) == 3
        async with serving(broker, [second.note], max_jobs=2):
            assert await second.heard(2) == [2, 3]
            assert await depth(redis_url) == 1
            second.open()
            assert await second.heard(3) == [2, 3, 4]
        first.open()
    assert first.calls == [0, 1]


async def test_never_more_run_than_there_are_slots(broker: Broker) -> None:
    record = Record()
    async with serving(broker, [record.note], max_jobs=3):
        for number in range(20):
            await broker.deliver(
                [call(f"{number}-{one}", number, place=number) for one in range(5)]
            )
        await record.heard(100)
    assert record.most_running <= 3


async def test_a_freed_slot_is_used_at_once(broker: Broker) -> None:
    """However many others of the worker's deliveries still run."""
    blocked, free = Record(is_open=False), Record()

    async def hold(ctx: dict[str, object]) -> None:
        await blocked.note(ctx)

    async with serving(broker, [hold, free.note], max_jobs=3):
        await broker.deliver([call("a", function="hold"), call("b", function="hold")])
        await blocked.heard(2)
        await broker.deliver(calls(20))
        assert await free.heard(20) == list(range(20))
        blocked.open()


async def test_a_delivery_that_comes_again_while_it_runs_runs_once(
    broker: Broker, redis_url: str
) -> None:
    """And does not make the worker forget that the first still takes a slot."""
    record = Record(is_open=False)
    async with serving(broker, [record.note], max_jobs=2) as worker:
        await broker.deliver([call("same", 1)])
        await record.heard(1)
        await broker.deliver([call("same", 2)])

        async def is_taken() -> bool:
            return await depth(redis_url) == 0

        await until(is_taken, what="the second to be taken")
        await broker.deliver([call("other", 3), call("waits", 4, place=1)])
        assert await record.heard(2) == [1, 3]
        assert len(worker.tasks) == 2
        assert await depth(redis_url) == 1
        record.open()
        await record.heard(3)
