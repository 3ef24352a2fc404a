"""The way to PostgreSQL: one pool a process, and one error when it does not answer."""

import errno
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # There are none.
import orjson
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from service.errors import SettingsError, StoreDownError, StoreUnavailableError

Connection: TypeAlias = AsyncConnection
"""What the functions of this room are given, for those elsewhere that pass it on."""

STATEMENT_TIMEOUT_SECONDS = 5
LOCK_TIMEOUT_SECONDS = 0.5
IDLE_IN_TRANSACTION_SECONDS = 10
CONNECT_TIMEOUT_SECONDS = 2
ANSWER_TIMEOUT_SECONDS = STATEMENT_TIMEOUT_SECONDS + 1

# SQLSTATE classes that say the server, not the statement, is at fault: connection exception,
# authorization, no such database, insufficient resources, operator intervention; and a lock not
# given in time, a deadlock, a server that only reads, a fault of its disk, and tables that are not
# there yet (PostgreSQL documentation, appendix A).
_UNAVAILABLE_STATES = ("08", "28", "3D", "53", "57", "55P03", "40P01", "25006", "58", "42P01")
_NO_TABLE = "42P01"

# What the driver says of its connection where it is spoken to directly. A DataError, which tells
# of what it was given, is an InterfaceError too.
_DRIVER_OUTAGES: tuple[type[Exception], ...] = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
_DRIVER_DATA_ERROR: type[Exception] = asyncpg.DataError

_SESSION_ENDED = ("08", "57P")
_CANNOT_CONNECT_NOW = "57P03"
_NOBODY_LISTENS = (ConnectionRefusedError, FileNotFoundError)

# Where a name has several addresses, as localhost has, asyncio tells of them in words alone.
_SEVERAL_ADDRESSES = "Multiple exceptions: "
_NUMBER = re.compile(r"\[Errno (\d+)\]")
_NO_SUCH_ADDRESS_HERE = errno.EADDRNOTAVAIL

_KNOWN_OPTIONS = frozenset({"host", "port", "ssl"})
_IGNORED_OPTIONS = frozenset({"channel_binding", "target_session_attrs", "gssencmode"})


def driver_url(url: str) -> sa.URL:
    """Return *url* for asyncpg; raise SettingsError when it is not an address of PostgreSQL."""
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        raise SettingsError("DATABASE_URL: not an address like postgresql://host/name") from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise SettingsError("DATABASE_URL: must begin with postgresql://")
    query = {
        "ssl" if name == "sslmode" else name: value
        for name, value in parsed.query.items()
        if name not in _IGNORED_OPTIONS
    }
    if unknown := query.keys() - _KNOWN_OPTIONS:
        raise SettingsError(f"DATABASE_URL: unknown option {', '.join(sorted(unknown))}")
    return parsed.set(drivername="postgresql+asyncpg", query=query)


def _to_json(value: Any) -> str:  # noqa: ANN401  # Whatever a JSONB column is given.
    return orjson.dumps(value).decode()


class Database:
    """A pool of connections to PostgreSQL.

    `begin` opens a transaction; whoever opens it commits it by leaving it. `connect` gives a
    connection on which each statement is a transaction of its own, which is all that most moves
    need and saves two round trips.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "data20",
        pool_size: int = 10,
        answer_within: float | None = ANSWER_TIMEOUT_SECONDS,
    ) -> None:
        self._engine: AsyncEngine = create_async_engine(
            driver_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=CONNECT_TIMEOUT_SECONDS,
            pool_pre_ping=False,  # A failed statement says the same, without a round trip each.
            json_serializer=_to_json,
            json_deserializer=orjson.loads,
            connect_args={
                "timeout": CONNECT_TIMEOUT_SECONDS,
                "command_timeout": answer_within,  # The line itself may have gone silent.
                "server_settings": {
                    "application_name": name,
                    "timezone": "UTC",
                    "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s",
                    "lock_timeout": f"{int(LOCK_TIMEOUT_SECONDS * 1000)}ms",
                    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS}s",
                },
            },
        )
        self._single = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._on_lost: Callable[[], None] | None = None
        event.listen(self._engine.sync_engine, "checkout", self._refuse_closed)

    def on_lost(self, listener: Callable[[], None]) -> None:
        """Call *listener* whenever a connection is lost or cannot be made.

        A server all of whose sessions broke, as when one was killed, shows it in no other way: it
        counts its start from before.
        """
        self._on_lost = listener

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[AsyncConnection]:
        """Open a transaction, committed at the end, rolled back by an exception.

        Raises StoreUnavailableError when PostgreSQL does not answer, of which StoreDownError tells
        that it is known not to run.
        """
        async with self._named_outage(), self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[AsyncConnection]:
        """Give a connection on which every statement commits by itself.

        Raises StoreUnavailableError when PostgreSQL does not answer, of which StoreDownError tells
        that it is known not to run.
        """
        async with self._named_outage(), self._single.connect() as connection:
            yield connection

    async def version(self) -> str:
        """Return the server's version, like `18.6`."""
        async with self.connect() as connection:
            return str((await connection.execute(sa.text("SHOW server_version"))).scalar_one())

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    def _refuse_closed(self, adapted: Any, *_: object) -> None:  # noqa: ANN401  # As the pool calls it.
        """Have the pool replace a connection whose end the driver has seen, at no round trip.

        A restart of the server closes all that lie in the pool; `Prepared` could not tell of them.
        """
        if adapted.driver_connection.is_closed():
            if self._on_lost is not None:
                self._on_lost()
            raise DisconnectionError("closed while it lay in the pool")

    @asynccontextmanager
    async def _named_outage(self) -> AsyncGenerator[None]:
        """Turn every way in which the driver says "nobody there" into StoreUnavailableError."""
        try:
            yield
        except Exception as error:
            if not _is_outage(error):
                raise
            if self._on_lost is not None and _is_lost(error):
                self._on_lost()
            raise _outage(error) from error


def _outage(error: Exception) -> StoreUnavailableError:
    if _sqlstate(error) == _NO_TABLE:
        return StoreUnavailableError(
            "The database has not this version's schema; run `data20 db upgrade`"
        )
    if _is_refused(error) or _sqlstate(error) == _CANNOT_CONNECT_NOW:
        return StoreDownError(f"PostgreSQL does not run: {_first_line(error)}")
    return StoreUnavailableError(f"PostgreSQL does not answer: {_first_line(error)}")


def _is_refused(error: Exception) -> bool:
    """True when nobody listens at any address of the server."""
    if isinstance(error, OSError) and str(error).startswith(_SEVERAL_ADDRESSES):
        numbers = {int(each) for each in _NUMBER.findall(str(error))}
        return numbers - {_NO_SUCH_ADDRESS_HERE} == {errno.ECONNREFUSED}
    return isinstance(error, _NOBODY_LISTENS)


def _is_outage(error: Exception) -> bool:
    if isinstance(error, OSError | TimeoutError | PoolTimeoutError | InterfaceError):
        return True
    if isinstance(error, _DRIVER_OUTAGES) and not isinstance(error, _DRIVER_DATA_ERROR):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return _sqlstate(error).startswith(_UNAVAILABLE_STATES)


def _is_lost(error: Exception) -> bool:
    """True when the session is gone; a statement that took too long says nothing about it."""
    if isinstance(error, TimeoutError | PoolTimeoutError):
        return False
    if isinstance(error, (OSError, InterfaceError, *_DRIVER_OUTAGES)):
        return True
    was_lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return was_lost or _sqlstate(error).startswith(_SESSION_ENDED)


def _sqlstate(error: Exception) -> str:
    # While it connects, the driver's own errors come through unwrapped.
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    return state if isinstance(state, str) else ""


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "orig", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__
