"""The way to Redis: one pool a process for what is quick, a connection of its own for a wait."""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import orjson
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from service.config import BROKER_DATABASE
from service.errors import BrokerUnavailableError, SettingsError
from service.queue.delivery import Delivery, payload_key, to_json

# redis-py's own annotations leave most parameters and results unknown; they are named here.
_AnyPool: Any = ConnectionPool
_AnyRedis: Any = Redis

CONNECT_TIMEOUT_SECONDS = 0.3
ANSWER_TIMEOUT_SECONDS = 1.0
BLOCK_SECONDS = 5.0
"""How long one blocking call waits; an idle worker sends one command in this time."""


def database_url(url: str, number: int) -> str:
    """Return *url* with its database replaced: the setting names a server, we choose the number."""
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise SettingsError("REDIS_URL: must begin with redis://, rediss:// or unix://")
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "db"]
    if parts.scheme == "unix":
        return urlunsplit(parts._replace(query=urlencode([*query, ("db", str(number))])))
    return urlunsplit(parts._replace(path=f"/{number}", query=urlencode(query)))


class Broker:
    """Redis database 1, in which deliveries wait until a worker takes them.

    Every method raises BrokerUnavailableError when Redis does not answer, and nothing it did or
    did not do then matters: the rows in PostgreSQL say what is to be done.
    """

    def __init__(self, url: str, *, name: str = "data20") -> None:
        self._url = database_url(url, BROKER_DATABASE)
        self._name = name
        self.arq = ArqRedis(
            _AnyPool.from_url(
                self._url,
                client_name=name,
                socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
                socket_timeout=ANSWER_TIMEOUT_SECONDS,
                health_check_interval=30,
                # A pooled connection may have died since it was last used: once more, at once.
                retry=Retry(NoBackoff(), 1),
                retry_on_error=[RedisConnectionError],
            ),
            job_serializer=to_json,
            job_deserializer=orjson.loads,
            default_queue_name="tools",
        )
        self._redis: Any = self.arq

    async def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Put *deliveries* into their queues, in one round trip; again is as good as once."""
        async with _named_outage(), self._redis.pipeline(transaction=True) as pipe:
            for each in deliveries:
                pipe.set(payload_key(each.id), each.payload)
                pipe.zadd(each.queue, {each.id: each.score})
            await pipe.execute()

    async def missing(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Return those of *deliveries* that wait in no queue."""
        async with _named_outage(), self._redis.pipeline(transaction=False) as pipe:
            for each in deliveries:
                pipe.zscore(each.queue, each.id)
            scores: list[float | None] = await pipe.execute()
        return [each for each, found in zip(deliveries, scores, strict=True) if found is None]

    async def withdraw(self, deliveries: Sequence[Delivery]) -> None:
        """Take *deliveries* out of their queues, should they still be there."""
        async with _named_outage(), self._redis.pipeline(transaction=True) as pipe:
            for each in deliveries:
                pipe.zrem(each.queue, each.id)
                pipe.delete(payload_key(each.id))
            await pipe.execute()

    async def publish(self, channel: str, message: bytes) -> None:
        """Tell whoever listens now."""
        async with _named_outage():
            await self._redis.publish(channel, message)

    async def version(self) -> str:
        """Return the server's name and version, like `Valkey 9.1.2`."""
        async with _named_outage():
            facts: dict[str, Any] = await self._redis.info("server")
        if "valkey_version" in facts:
            return f"Valkey {facts['valkey_version']}"
        return f"Redis {facts.get('redis_version', '?')}"

    def waiting_connection(
        self, *, answer_within: float, block_seconds: float = BLOCK_SECONDS
    ) -> "WaitingConnection":
        """Return a connection for calls that block up to *block_seconds*.

        One that has no answer after *answer_within* seconds counts as lost.
        """
        return WaitingConnection(
            self._url, self._name, answer_within=answer_within, block_seconds=block_seconds
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose(close_connection_pool=True)


class WaitingConnection:
    """A connection for calls that block, closed when anything about it goes wrong.

    A blocking call that is cancelled leaves its reply on the way; a pool would hand the connection,
    reply and all, to the next caller (redis-py issue 4121). Here it is never used again.
    """

    def __init__(self, url: str, name: str, *, answer_within: float, block_seconds: float) -> None:
        self._url = url
        self._name = name
        self._answer_within = answer_within
        self._block_seconds = block_seconds
        self._redis: Any = None
        self._subscriber: Any = None
        self._failures = 0

    async def pop(
        self, queues: Sequence[str], most: int
    ) -> tuple[str, list[tuple[str, float]]] | None:
        """Wait for deliveries and take up to *most* from the first queue that has any.

        Returns the queue and the deliveries' ids with their scores, first come first; `None` when
        none came in time.
        """
        async with _named_outage(), self._closing_on_failure():
            answer = await self._client().bzmpop(
                self._block_seconds, len(queues), queues, min=True, count=most
            )
        if answer is None:
            return None
        queue, entries = answer
        return queue.decode(), [
            (member.decode(errors="backslashreplace"), float(place)) for member, place in entries
        ]

    async def take_payloads(self, delivery_ids: Sequence[str]) -> list[bytes | None]:
        """Return what each delivery says and forget it; `None` for one that is not there."""
        async with _named_outage(), self._closing_on_failure():
            pipe = self._client().pipeline(transaction=False)
            for each in delivery_ids:
                pipe.getdel(payload_key(each))
            # Whoever writes another type under such a key spoils one delivery, not all of them.
            answers: list[object] = await pipe.execute(raise_on_error=False)
        return [each if isinstance(each, bytes) else None for each in answers]

    async def next_message(self, channel: str) -> bytes | None:
        """Wait for a message on *channel*; `None` when none came in time."""
        async with _named_outage(), self._closing_on_failure():
            if self._subscriber is None:
                self._subscriber = self._client().pubsub(ignore_subscribe_messages=True)
                await self._subscriber.subscribe(channel)
            message = await self._subscriber.get_message(timeout=self._block_seconds)
        return None if message is None else message["data"]

    async def pause_after_failure(self) -> None:
        """Wait a little before the next try: 0.05 s at first, up to 1 s, never all at once."""
        self._failures += 1
        ceiling = min(1.0, 0.05 * 2 ** min(self._failures, 10))
        await asyncio.sleep(random.uniform(ceiling / 2, ceiling))  # noqa: S311  # Not a secret.

    async def close(self) -> None:
        """Drop the connection; the next call makes a new one."""
        redis, self._redis = self._redis, None
        subscriber, self._subscriber = self._subscriber, None
        for each in (subscriber, redis):
            if each is not None:
                # It is to be gone; if it is gone already, so much the better.
                with suppress(OSError, RedisError):
                    await each.aclose()

    def _client(self) -> Any:  # noqa: ANN401  # redis-py leaves its results unknown.
        if self._redis is None:
            self._redis = _AnyRedis.from_url(
                self._url,
                max_connections=1,
                client_name=f"{self._name}-waiting",
                socket_connect_timeout=CONNECT_TIMEOUT_SECONDS * 3,
                socket_timeout=self._answer_within,
                **({} if self._url.startswith("unix") else {"socket_keepalive": True}),
            )
        return self._redis

    @asynccontextmanager
    async def _closing_on_failure(self) -> AsyncGenerator[None]:
        try:
            yield
        except BaseException:  # A cancelled call too: its reply may still come.
            await self.close()
            raise
        self._failures = 0


@asynccontextmanager
async def _named_outage() -> AsyncGenerator[None]:
    try:
        yield
    except (OSError, TimeoutError, RedisError) as error:
        raise BrokerUnavailableError(f"Redis does not answer: {error}") from error
