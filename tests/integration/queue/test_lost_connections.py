"""Redis goes and comes back; the worker lives on, and serves as soon as it can."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from service.config import BROKER_DATABASE
from service.embedded.servers import EmbeddedServers
from service.errors import BrokerUnavailableError
from service.queue.broker import Broker
from tests.integration.queue.serving import Record, call, deliver_again, serving
from tests.servers import redis_client
from tests.silence import line_to, through
from tests.waiting import until


async def test_a_killed_connection_is_made_anew(broker: Broker, redis_url: str) -> None:
    record = Record()
    async with (
        serving(broker, [record.note]),
        redis_client(redis_url, BROKER_DATABASE) as client,
    ):
        for round_ in range(5):

            async def is_waiting() -> bool:
                return any(each["cmd"] == "bzmpop" for each in await client.client_list())

            await until(is_waiting, what="the worker to wait")
            await client.execute_command("CLIENT", "KILL", "TYPE", "normal")
            await broker.deliver([call(f"call-{round_}", round_)])
            assert await record.heard(round_ + 1) == list(range(round_ + 1))


async def test_a_subscriber_tells_a_dead_line_from_a_quiet_one(redis_url: str) -> None:
    """Nothing is ever sent on a dead line, so nothing but a question can find out."""
    async with line_to(Path(urlsplit(redis_url).path)) as line:
        broker = Broker(through(line, redis_url))
        waiting = broker.waiting_connection(answer_within=2.0, block_seconds=0.05)
        quiet = [await waiting.next_message("news") for _ in range(5)]
        assert quiet == [None] * 5
        line.is_alive.clear()
        with pytest.raises(BrokerUnavailableError):
            await waiting.next_message("news")
        line.is_alive.set()
        assert await waiting.next_message("news") is None
        await broker.publish("news", b"back")
        assert await until(lambda: waiting.next_message("news"), what="news") == b"back"
        await waiting.close()
        await broker.close()


async def test_a_killed_server_is_waited_for(
    own_servers: EmbeddedServers, own_broker: Broker
) -> None:
    """What runs goes on, and what was delivered before is served after."""
    record, lasting = Record(), Record(is_open=False)

    async def last(ctx: dict[str, object]) -> None:
        await lasting.note(ctx)

    with capture_logs() as logs:
        async with serving(own_broker, [record.note, last], max_jobs=2, drain_seconds=60):
            await own_broker.deliver([call("lasting", function="last")])
            await lasting.heard(1)
            for round_ in range(3):
                own_servers.valkey.kill()
                with pytest.raises(BrokerUnavailableError):
                    await own_broker.deliver([call("nobody")])
                logs.clear()
                await until(lambda: logs, what="the worker to notice")
                own_servers.valkey.start()
                await deliver_again(own_broker, call(f"call-{round_}", round_))
                assert await record.heard(round_ + 1) == list(range(round_ + 1))
            assert lasting.running == 1
            lasting.open()
    assert {line["event"] for line in logs} <= {"broker lost", "stopping"}


async def test_a_worker_can_be_stopped_while_redis_is_away(
    own_servers: EmbeddedServers, own_broker: Broker
) -> None:
    with capture_logs() as logs:
        async with serving(own_broker, [Record().note]):
            own_servers.valkey.kill()
            await until(lambda: logs, what="the worker to notice")
    assert logs[0]["event"] == "broker lost"


async def test_a_worker_may_start_before_redis(
    own_servers: EmbeddedServers, own_broker: Broker
) -> None:
    own_servers.valkey.kill()
    record = Record()
    with capture_logs() as logs:
        async with serving(own_broker, [record.note]):
            await until(lambda: logs, what="the worker to notice")
            own_servers.valkey.start()
            await deliver_again(own_broker, call("first", "first"))
            assert await record.heard(1) == ["first"]


async def test_a_frozen_redis_is_noticed_by_whatever_asks_it(
    own_servers: EmbeddedServers, own_broker: Broker
) -> None:
    """Although the worker's own call would be allowed to wait for minutes."""
    record = Record()

    async def from_store(ctx: dict[str, object], found: asyncio.Event) -> None:
        if not record.calls:
            found.set()
            await record.note(ctx, "elsewhere")

    options: dict[str, Any] = {"from_store": from_store, "block_seconds": 300.0}
    async with serving(own_broker, [record.note], **options):

        async def is_waiting() -> bool:
            async with redis_client(own_servers.redis_url, BROKER_DATABASE) as client:
                return any(each["cmd"] == "bzmpop" for each in await client.client_list())

        await until(is_waiting, what="the worker to wait")
        os.kill(own_servers.valkey.pid, signal.SIGSTOP)
        try:
            with pytest.raises(BrokerUnavailableError):
                await own_broker.probe()
            assert await record.heard(1) == ["elsewhere"]
        finally:
            os.kill(own_servers.valkey.pid, signal.SIGCONT)
        await deliver_again(own_broker, call("again", "again"))
        assert await record.heard(2) == ["elsewhere", "again"]


async def test_while_redis_is_away_work_is_found_elsewhere(
    own_servers: EmbeddedServers, own_broker: Broker
) -> None:
    """As much as there are slots, and no more is asked for once nothing was found."""
    elsewhere, record = ["first", "second", "third", "fourth"], Record(is_open=False)
    asked = 0

    async def from_store(ctx: dict[str, object], found: asyncio.Event) -> None:
        nonlocal asked
        asked += 1
        if elsewhere:
            found.set()
            await record.note(ctx, elsewhere.pop(0))

    options: dict[str, Any] = {"from_store": from_store, "max_jobs": 3, "drain_seconds": 60}
    async with serving(own_broker, [record.note], **options):
        await own_broker.deliver([call("delivered", "delivered")])
        await record.heard(1)
        own_servers.valkey.kill()
        assert await record.heard(3) == ["delivered", "first", "second"]
        record.open()
        assert await record.heard(5) == ["delivered", "first", "second", "third", "fourth"]
        await until(lambda: asked > 4, what="the store to be asked in vain")
        own_servers.valkey.start()
        await deliver_again(own_broker, call("again", "again"))
        await record.heard(6)
        asked_before = asked
        await deliver_again(own_broker, call("once more", "once more"))
        await record.heard(7)
    assert asked == asked_before
    assert record.most_running == 3
