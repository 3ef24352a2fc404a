"""The way to Redis: one pool a process for what is quick, a connection of its own for a wait."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import orjson
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from service.config import BROKER_DATABASE
from service.errors import BrokerUnavailableError, SettingsError
from service.queue.breaker import Breaker
from service.queue.delivery import FIRST_SCORE, Delivery, payload_key, to_json
from service.queue.waiting import BLOCK_SECONDS, WaitingConnection, named_outage, noted
from service.store.joining import Joining

# redis-py's own annotations leave most parameters and results unknown; they are named here.
_AnyPool: Any = ConnectionPool

CONNECT_TIMEOUT_SECONDS = 0.3
ANSWER_TIMEOUT_SECONDS = 1.0
PATIENCE_SECONDS = 0.5
"""How long somebody who posts or cancels a job is kept waiting for Redis."""

COMPLETE_KEY = "data20:complete"
COMPLETE_SECONDS = 60
"""How long a full look at the queues counts: what gets lost unseen is found after that time."""

_UNDER_WAY = b"?"
_PROBE_KEY = "data20:probe"


def database_url(url: str, number: int) -> str:
    """Return *url* with its database replaced: the setting names a server, we choose the number."""
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise SettingsError("REDIS_URL: must begin with redis://, rediss:// or unix://")
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "db"]
    if parts.scheme == "unix":
        return urlunsplit(parts._replace(query=urlencode([*query, ("db", str(number))])))
    return urlunsplit(parts._replace(path=f"/{number}", query=urlencode(query)))


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look at the queues has shown."""

    server: str
    """The server's id, another after each of its starts."""
    is_complete: bool
    """True while a full look counts: nothing has emptied or replaced the server since."""
    first: Mapping[str, float | None]
    """The score of the first of our deliveries in each queue; None where there is none."""


class Broker:
    """Redis database 1, in which deliveries wait until a worker takes them.

    Every method raises BrokerUnavailableError when Redis does not answer, and nothing it did or
    did not do then matters: the rows in PostgreSQL say what is to be done. After such a failure
    only one call in a while waits for it again; the others fail at once.
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
        self._messages = Joining(self._publish)
        self._line = Breaker()  # Open while nobody answers.
        self._room = Breaker()  # Open while nothing can be written: full, or a replica.

    @property
    def is_away(self) -> bool:
        """True while Redis does not answer, or a connection to it cannot be made."""
        return self._line.is_open

    def on_away(self, listener: Callable[[], None]) -> None:
        """Call *listener* each time that Redis is found to be away."""
        self._line.on_open(listener)

    @property
    def takes_deliveries(self) -> bool:
        """False when the last delivery could not be made: Redis is away, or full."""
        return not (self._line.is_open or self._room.is_open)

    async def deliver(
        self, deliveries: Sequence[Delivery], *, within: float = ANSWER_TIMEOUT_SECONDS
    ) -> None:
        """Put *deliveries* into their queues, in one round trip; again is as good as once."""
        if not deliveries:
            return
        places: dict[str, dict[str, float]] = {}
        for each in deliveries:
            places.setdefault(each.queue, {})[each.id] = each.score
        async with self._writing(within), self._redis.pipeline(transaction=True) as pipe:
            pipe.mset({payload_key(each.id): each.payload for each in deliveries})
            for queue, members in places.items():
                pipe.zadd(queue, members)
            await pipe.execute()

    async def probe(self) -> None:
        """Find out whether deliveries can be made, by a write that leaves nothing."""
        async with self._writing(PATIENCE_SECONDS):
            await self._redis.set(_PROBE_KEY, b"", px=1)

    async def missing(self, queue: str, delivery_ids: Sequence[str]) -> list[str]:
        """Return those of *delivery_ids* that do not wait in *queue*."""
        async with self._answering():
            scores: list[float | None] = await self._redis.zmscore(queue, delivery_ids)
        return [each for each, found in zip(delivery_ids, scores, strict=True) if found is None]

    async def look(self, queues: Sequence[str]) -> Sight:
        """Look at the heads of *queues*, and whether the last full look still counts."""
        async with self._answering(), self._redis.pipeline(transaction=False) as pipe:
            pipe.info("server")
            pipe.get(COMPLETE_KEY)
            for queue in queues:
                pipe.zrangebyscore(queue, FIRST_SCORE, "+inf", 0, 1, withscores=True)
            facts, mark, *heads = await pipe.execute()
        server = str(facts["run_id"])
        return Sight(
            server=server,
            is_complete=mark == server.encode(),
            first={
                queue: head[0][1] if head else None
                for queue, head in zip(queues, heads, strict=True)
            },
        )

    async def begin_full_look(self) -> None:
        """Note that one is under way, so that a server emptied meanwhile shows."""
        async with self._answering():
            await self._redis.set(COMPLETE_KEY, _UNDER_WAY, ex=COMPLETE_SECONDS)

    async def go_on_with_full_look(self) -> None:
        """Note that it still is under way; to be called more often than its mark lives.

        A mark that is gone stays gone.
        """
        async with self._answering():
            await self._redis.expire(COMPLETE_KEY, COMPLETE_SECONDS)

    async def end_full_look(self, server: str) -> None:
        """Let the look count from now on, unless *server* was emptied since its beginning."""
        async with self._answering():
            await self._redis.set(COMPLETE_KEY, server, ex=COMPLETE_SECONDS, xx=True)

    async def withdraw(self, deliveries: Sequence[Delivery]) -> None:
        """Take *deliveries* out of their queues, should they still be there."""
        async with (
            self._answering(PATIENCE_SECONDS),
            self._redis.pipeline(transaction=True) as pipe,
        ):
            for each in deliveries:
                pipe.zrem(each.queue, each.id)
                pipe.delete(payload_key(each.id))
            await pipe.execute()

    async def hand_back(self, delivery: Delivery, place: str) -> None:
        """Put a delivery that was taken into *place*, where it was in its order."""
        async with (
            self._writing(ANSWER_TIMEOUT_SECONDS),
            self._redis.pipeline(transaction=True) as pipe,
        ):
            pipe.set(payload_key(delivery.id), delivery.payload)
            pipe.zadd(place, {delivery.id: delivery.score})
            await pipe.execute()

    async def unblock(self, client_id: int) -> None:
        """Have a blocking call of that connection return empty-handed, if there is one."""
        async with self._answering():
            await self._redis.client_unblock(client_id)

    async def publish(self, channel: str, message: bytes) -> None:
        """Tell whoever listens now."""
        await self._messages.ask((channel, message))

    async def _publish(self, messages: Sequence[tuple[str, bytes]]) -> Sequence[None]:
        async with (
            self._answering(PATIENCE_SECONDS),
            self._redis.pipeline(transaction=False) as pipe,
        ):
            for channel, message in messages:
                pipe.publish(channel, message)
            await pipe.execute()
        return [None] * len(messages)

    async def version(self) -> str:
        """Return the server's name and version, like `Valkey 9.1.2`."""
        async with self._answering():
            facts: dict[str, Any] = await self._redis.info("server")
        if "valkey_version" in facts:
            return f"Valkey {facts['valkey_version']}"
        return f"Redis {facts.get('redis_version', '?')}"

    def waiting_connection(
        self, *, answer_within: float, block_seconds: float = BLOCK_SECONDS
    ) -> WaitingConnection:
        """Return a connection for calls that block up to *block_seconds*.

        One that has no answer after *answer_within* seconds counts as lost.
        """
        return WaitingConnection(
            self._url,
            self._name,
            self._line,
            answer_within=answer_within,
            block_seconds=block_seconds,
        )

    async def close(self) -> None:
        """Close every connection; again is as good as once."""
        await self._messages.settle()
        await self._redis.aclose(close_connection_pool=True)

    @asynccontextmanager
    async def _answering(self, within: float = ANSWER_TIMEOUT_SECONDS) -> AsyncGenerator[None]:
        if not self._line.admits():
            raise BrokerUnavailableError("Redis did not answer a moment ago")
        async with named_outage(), noted(self._line), asyncio.timeout(within):
            yield

    @asynccontextmanager
    async def _writing(self, within: float) -> AsyncGenerator[None]:
        async with self._answering(within):
            if not self._room.admits():
                raise BrokerUnavailableError("Redis took no delivery a moment ago")
            try:
                yield
            except ResponseError:
                self._room.failed()
                raise
            self._room.succeeded()
