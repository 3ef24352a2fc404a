"""A connection of one's own for calls that wait, and the one name for every fault of Redis."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from service.errors import BrokerUnavailableError
from service.queue.breaker import Breaker

# redis-py's own annotations leave most parameters and results unknown; they are named here.
_AnyRedis: Any = Redis

T = TypeVar("T")

BLOCK_SECONDS = 5.0
"""How long one blocking call waits; an idle worker sends one command in this time."""

_CONNECT_TIMEOUT_SECONDS = 1.0
"""Whoever waits anyway has more patience than who posts a job."""


class WaitingConnection:
    """A connection for calls that block, closed when anything about it goes wrong.

    A blocking call that is cancelled leaves its reply on the way; a pool would hand the connection,
    reply and all, to the next caller (redis-py issue 4121). Here it is never used again.
    """

    def __init__(
        self, url: str, name: str, line: Breaker, *, answer_within: float, block_seconds: float
    ) -> None:
        self._url = url
        self._name = name
        self._line = line
        self._answer_within = answer_within
        self._block_seconds = block_seconds
        self._redis: Any = None
        self._subscriber: Any = None
        self._failures = 0
        self.client_id = 0
        """How the server calls this connection; 0 before the first."""

    async def call(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """Return what *ask* gets from the server, as redis-py's client of this connection."""
        async with named_outage(), self._closing_on_failure():
            return await ask(await self._connected())

    async def next_message(self, channel: str) -> bytes | None:
        """Wait for a message on *channel*; `None` when none came in time.

        A line that went dead looks like a quiet one, so after each wait in vain the server is asked
        whether it is there.
        """
        async with named_outage(), self._closing_on_failure():
            if self._subscriber is None:
                client = await self._connected()
                self._subscriber = client.pubsub(ignore_subscribe_messages=True)
                await self._subscriber.subscribe(channel)
            message = await self._subscriber.get_message(timeout=self._block_seconds)
            if message is None:
                await self._subscriber.ping()
                async with asyncio.timeout(self._answer_within):
                    while message is None:  # It may be the subscription's confirmation.
                        message = await self._subscriber.get_message(timeout=self._answer_within)
        return message["data"] if message["type"] == "message" else None

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

    async def _connected(self) -> Any:  # noqa: ANN401  # redis-py leaves its results unknown.
        if self._redis is None:
            self._redis = _AnyRedis.from_url(
                self._url,
                max_connections=1,
                client_name=f"{self._name}-waiting",
                socket_connect_timeout=_CONNECT_TIMEOUT_SECONDS,
                socket_timeout=self._answer_within,
                redis_connect_func=self._greet,
                **({} if self._url.startswith("unix") else {"socket_keepalive": True}),
            )
            # A frozen server's kernel accepts connections: only an answer says that it is there.
            async with noted(self._line), asyncio.timeout(_CONNECT_TIMEOUT_SECONDS):
                await self._redis.ping()
        return self._redis

    async def _greet(self, connection: Any) -> None:  # noqa: ANN401  # As redis-py calls it.
        """Do what redis-py does with each new connection, and ask for its number."""
        await connection.on_connect()
        await connection.send_command("CLIENT", "ID")
        self.client_id = await connection.read_response()

    @asynccontextmanager
    async def _closing_on_failure(self) -> AsyncGenerator[None]:
        try:
            yield
        except BaseException:  # A cancelled call too: its reply may still come.
            await self.close()
            raise
        self._failures = 0


@asynccontextmanager
async def named_outage() -> AsyncGenerator[None]:
    """Raise BrokerUnavailableError for whatever went wrong on the way to Redis or in it."""
    try:
        yield
    except (OSError, TimeoutError, RedisError) as error:
        raise BrokerUnavailableError(f"Redis does not answer: {error}") from error


@asynccontextmanager
async def noted(line: Breaker) -> AsyncGenerator[None]:
    """Note in *line* whether Redis is there; one that refuses what was asked is."""
    try:
        yield
    except ResponseError:
        line.succeeded()
        raise
    except (OSError, TimeoutError, RedisError):
        line.failed()
        raise
    line.succeeded()
