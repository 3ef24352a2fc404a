"""Deliveries that nobody should have sent: each is refused by itself, and all others are served."""

import asyncio
import os
import pickle
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from arq.jobs import serialize_job
from structlog.testing import capture_logs

from service.config import BROKER_DATABASE
from service.errors import StoreUnavailableError
from service.queue.broker import Broker
from service.queue.delivery import Delivery, payload_key
from tests.integration.queue.serving import JobFunction, Record, call, serving
from tests.servers import redis_client


class Trap:
    """Loads, as pickle, by calling whatever its writer wanted."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.path,)

    def __init__(self, path: str) -> None:
        self.path = path


async def _serve(
    broker: Broker, *spoilt: Delivery, known: Sequence[JobFunction] = ()
) -> Sequence[Mapping[str, Any]]:
    """Serve what is spoilt and, behind it, what is not; return what was logged."""
    record = Record()
    with capture_logs() as logs:
        async with serving(broker, [record.note, *known], max_jobs=1):
            await broker.deliver([*spoilt, call("good", "good", place=10)])
            assert await record.heard(1) == ["good"]
    return [line for line in logs if line["log_level"] in {"warning", "error"}]


async def test_a_pickled_delivery_is_refused_and_not_loaded(broker: Broker) -> None:
    """Whoever can write to Redis must not thereby run code here."""
    with tempfile.TemporaryDirectory(prefix="data20-tests-") as folder:
        sprung = Path(folder) / "sprung"
        trap = Trap(str(sprung))
        payload = serialize_job("note", (trap,), {}, None, 0, serializer=pickle.dumps)
        [line] = await _serve(broker, Delivery("evil", "tools", 0, payload))
        assert (line["event"], line["delivery"]) == ("delivery refused", "evil")
        assert not sprung.exists()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"7",
        b"[]",
        b"{}",
        b'{"t":1,"f":"note","a":7,"k":{},"et":0}',
        b'{"t":1,"f":null,"a":[],"k":{},"et":0}',
        b'{"t":1,"f":"note","a":[],"k":[],"et":0}',
        b"[" * 100_000,
    ],
)
async def test_what_is_not_of_arqs_form_is_refused(broker: Broker, payload: bytes) -> None:
    [line] = await _serve(broker, Delivery("spoilt", "tools", 0, payload))
    assert line["event"] == "delivery refused"


async def test_a_delivery_without_content_is_logged(broker: Broker, redis_url: str) -> None:
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        await client.zadd("tools", {"empty": -1})
    [line] = await _serve(broker)
    assert (line["event"], line["delivery"]) == ("delivery without content", "empty")


async def test_content_of_another_type_spoils_its_own_delivery(
    broker: Broker, redis_url: str
) -> None:
    """Though it is taken in one call with another one."""
    record = Record()
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        await client.rpush(payload_key("list"), "no", "string")
        await client.zadd("tools", {"list": -1})
    await broker.deliver([call("good", "good")])
    async with serving(broker, [record.note]):
        assert await record.heard(1) == ["good"]


async def test_an_id_that_is_no_text_is_logged(broker: Broker, redis_url: str) -> None:
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        await client.zadd("tools", {b"\xff\xfe": -1})
    [line] = await _serve(broker)
    assert (line["event"], line["delivery"]) == ("delivery without content", "\\xff\\xfe")


async def test_a_function_that_raises_hurts_nobody_else(broker: Broker) -> None:
    async def fail(_: dict[str, object]) -> None:
        raise RuntimeError("out of luck")

    [line] = await _serve(broker, call("unlucky", function="fail"), known=[fail])
    assert (line["event"], line["delivery"]) == ("delivery failed", "unlucky")
    assert line["exc_info"]


async def test_an_error_that_says_all_is_logged_without_its_stack(broker: Broker) -> None:
    async def fail(_: dict[str, object]) -> None:
        raise StoreUnavailableError("PostgreSQL does not answer")

    [line] = await _serve(broker, call("unlucky", function="fail"), known=[fail])
    assert line["reason"] == "PostgreSQL does not answer"
    assert "exc_info" not in line


async def test_arguments_that_a_function_does_not_take_hurt_nobody_else(broker: Broker) -> None:
    async def narrow(_: dict[str, object]) -> None:
        """Take nothing."""

    [line] = await _serve(broker, call("wide", 1, 2, 3, function="narrow"), known=[narrow])
    assert (line["event"], line["delivery"]) == ("delivery failed", "wide")


async def test_a_function_that_cancels_itself_hurts_nobody_else(broker: Broker) -> None:
    async def give_up(_: dict[str, object]) -> None:
        raise asyncio.CancelledError

    assert await _serve(broker, call("gives up", function="give_up"), known=[give_up]) == []
