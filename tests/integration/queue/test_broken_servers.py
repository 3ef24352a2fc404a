"""A Redis that is there and does not do as it should: the worker lives on, and loses nothing."""

import asyncio
import os
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.config import BROKER_DATABASE
from service.errors import BrokerUnavailableError
from service.queue.broker import Broker
from service.queue.intake import ASIDE
from tests.integration.queue.serving import Record, call, deliver_again, depth, serving
from tests.integration.queue.stock import moment_ms
from tests.integration.queue.valkeys import own_valkey
from tests.servers import redis_client
from tests.silence import line_to
from tests.waiting import until

FULL = "1"
"""A limit of memory, in bytes, under which nothing more is accepted."""


def _events(logs: Iterable[Mapping[str, Any]]) -> list[str]:
    return [line["event"] for line in logs]


async def test_a_full_redis_gives_what_it_has() -> None:
    """What it would not take back is kept until it does."""
    async with own_valkey() as valkey, redis_client(valkey.url, BROKER_DATABASE) as client:
        full = Broker(valkey.url, name="full")
        record, newer = Record(), Record()

        async def tidy(ctx: dict[str, object], *given: object) -> None:
            await newer.note(ctx, *given)

        await full.deliver(
            [
                call("newer", "kept", function="tidy"),
                call("deferred", "deferred", place=moment_ms(1.0)),
                call("known", "known", queue="default"),
            ]
        )
        await client.config_set("maxmemory", FULL)
        with pytest.raises(BrokerUnavailableError):
            await full.deliver([call("refused")])
        with capture_logs() as logs:
            async with serving(full, [record.note], drain_seconds=10):
                assert await record.heard(2) == ["known", "deferred"]
                await until(
                    lambda: "not handed back yet" in _events(logs), what="Redis to refuse it"
                )
                await client.config_set("maxmemory", 0)
                await until(partial(depth, valkey.url, "tools:tidy"), what="it to be back")
        async with serving(full, [tidy]):
            assert await newer.heard(1) == ["kept"]
        await full.close()


async def test_a_redis_that_reads_its_data_is_waited_for() -> None:
    async with own_valkey() as valkey:
        broker, record = Broker(valkey.url), Record()
        await broker.deliver([call("before", "before")])
        async with redis_client(valkey.url) as client:
            await client.mset({f"key-{number}": os.urandom(5000) for number in range(20)})
        await valkey.stop(saves=True)
        with capture_logs() as logs:
            async with serving(broker, [record.note]):
                await valkey.start(
                    "--key-load-delay",
                    "100000",
                    "--loading-process-events-interval-bytes",
                    "1024",
                    waits=False,
                )
                await until(
                    lambda: any("loading" in str(line.get("reason")).lower() for line in logs),
                    what="the worker to be told",
                )
                assert await record.heard(1) == ["before"]
        await broker.close()


async def test_a_key_of_another_type_holds_up_no_other_queue(
    broker: Broker, redis_url: str
) -> None:
    record = Record()
    with capture_logs() as logs:
        async with (
            serving(broker, [record.note]),
            redis_client(redis_url, BROKER_DATABASE) as client,
        ):

            async def is_waiting() -> bool:
                return any(each["cmd"] == "bzmpop" for each in await client.client_list())

            await until(is_waiting, what="the worker to wait")
            await client.set("tools", "not a queue")
            for number in range(5):
                await deliver_again(broker, call(f"call-{number}", number, queue="default"))
                await record.heard(number + 1)
            await client.delete("tools")
            await deliver_again(broker, call("tool", "tool"))
            assert await record.heard(6) == [0, 1, 2, 3, 4, "tool"]
    named = [line["key"] for line in logs if line["event"] == "no queue under its key"]
    assert named == ["tools"]
    # The call that waited when it happened fails; no later one asks for that key.
    assert _events(logs).count("broker lost") <= 1


async def test_what_cannot_be_set_aside_is_kept(broker: Broker, redis_url: str) -> None:
    record = Record()
    with capture_logs() as logs:
        async with (
            serving(broker, [record.note]),
            redis_client(redis_url, BROKER_DATABASE) as client,
        ):
            await client.set(ASIDE, "not a queue")
            due_at = time.time() + 2.0
            await broker.deliver([call("deferred", "deferred", place=moment_ms(2.0))])
            await until(lambda: "no queue under its key" in _events(logs), what="it to be noticed")
            assert record.calls == []
            await client.delete(ASIDE)
            assert await record.heard(1) == ["deferred"]
            assert time.time() >= due_at - 0.01


async def test_a_line_that_goes_silent_is_made_anew() -> None:
    """Nothing tells that it has: no answer comes any more, and no error either."""
    async with own_valkey() as valkey, line_to(valkey.socket) as line:
        near, far = Broker(valkey.url), Broker(f"redis://127.0.0.1:{line.port}")
        record = Record()
        with capture_logs() as logs:
            async with serving(far, [record.note], block_seconds=0.2):
                await near.deliver([call("before", "before")])
                await record.heard(1)
                line.is_alive.clear()
                await until(lambda: "broker lost" in _events(logs), what="it to notice", within=30)
                await near.deliver([call("after", "after")])
                line.is_alive.set()
                assert await record.heard(2) == ["before", "after"]
        await near.close()
        await far.close()


async def test_lost_connections_leave_nothing_behind(broker: Broker, redis_url: str) -> None:
    """Neither connections nor tasks, however often it happens."""
    record = Record()
    async with (
        redis_client(redis_url, BROKER_DATABASE) as client,
        serving(broker, [record.note], block_seconds=60),
    ):

        async def waiting() -> list[str]:
            return [each["id"] for each in await client.client_list() if each["cmd"] == "bzmpop"]

        await until(waiting, what="the worker to wait")
        await deliver_again(broker, call("first", -1))
        await record.heard(1)
        await until(waiting, what="the worker to wait again")

        async def counted() -> tuple[int, int]:
            return len(await client.client_list()), len(asyncio.all_tasks())

        before = await counted()
        for round_ in range(20):
            [now] = await until(waiting, what="the worker to wait again")
            await client.client_kill_filter(_id=now)
            await broker.deliver([call(f"call-{round_}", round_)])
            await record.heard(round_ + 2)

        async def is_as_before() -> bool:
            return await counted() == before

        await until(is_as_before, what="as many connections and tasks as before")
