"""A rolling deploy: some workers know a job function that others do not know yet."""

from functools import partial
from typing import Any

from structlog.testing import capture_logs

from service.config import BROKER_DATABASE
from service.queue.broker import Broker
from service.queue.delivery import FIRST_SCORE
from tests.integration.queue.serving import Record, call, depth, serving
from tests.servers import redis_client
from tests.waiting import until


class NewRecord(Record):
    """A function that only newer workers have."""

    async def tidy(self, ctx: dict[str, object], *given: object) -> None:
        """Be called."""
        await self.note(ctx, *given)


async def test_it_is_handed_back_once_and_kept_for_who_knows_it(
    broker: Broker, redis_url: str
) -> None:
    """The older worker, alone with it, neither loses it nor turns it over and over."""
    old, new = Record(), NewRecord()
    with capture_logs() as logs:
        async with serving(broker, [old.note], block_seconds=60):
            await broker.deliver([call("newer", 1, 2, function="tidy"), call("known", 3, place=1)])
            assert await old.heard(1) == [3]
            await until(partial(depth, redis_url, "tools:tidy"), what="it to be handed back")
            async with redis_client(redis_url, BROKER_DATABASE) as client:
                before = await _taken(client)
                await broker.deliver([call("more", 4)])
                assert await old.heard(2) == [3, 4]
                # One call that waited, one that looked: nothing else went round.
                assert await _taken(client) <= before + 4
            async with serving(broker, [new.tidy]):
                assert await new.heard(1) == [(1, 2)]
    assert [line["event"] for line in logs].count("function unknown") == 1


async def _taken(client: Any) -> int:  # noqa: ANN401  # redis-py leaves its types unknown.
    stats = await client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("bzmpop", "evalsha"))


async def test_an_idle_worker_that_knows_it_takes_it_while_the_other_is_there(
    broker: Broker,
) -> None:
    old, new = Record(), NewRecord()
    async with serving(broker, [old.note]), serving(broker, [new.tidy]):
        for number in range(20):
            await broker.deliver([call(f"newer-{number}", number, function="tidy")])
        assert sorted(await new.heard(20)) == list(range(20))


async def test_what_is_handed_back_keeps_its_order_and_its_queue(broker: Broker) -> None:
    places = [FIRST_SCORE + number for number in (3, 1, 2)]
    old, new = Record(), NewRecord()
    async with serving(broker, [old.note], max_jobs=1):
        await broker.deliver(
            [
                call(f"newer-{place}", place, function="tidy", queue="default", place=place)
                for place in places
            ]
        )
        await broker.deliver([call("last", "last", queue="maintenance")])
        await old.heard(1)
    async with serving(broker, [new.tidy], max_jobs=1):
        assert await new.heard(3) == sorted(places)
