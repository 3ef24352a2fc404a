"""`data20 up`: servers unless configured, the schema, the API and a worker, as one command.

    data20 up ──┬── PostgreSQL, Valkey     unless DATABASE_URL and REDIS_URL are given
                ├── data20 api             on a socket that this process opened
                └── data20 worker

However this process ends, nothing of that stays behind: asked to stop, it drains the worker, then
stops the API, then the servers; killed, the kernel ends each of its children.
"""

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager

from service.cli import banner
from service.cli.listening import listen
from service.cli.stack import Addresses, stack
from service.config import Settings
from service.embedded.servers import EmbeddedServers
from service.log import configure_logging


def up(settings: Settings) -> None:
    """Run everything until SIGINT or SIGTERM."""
    configure_logging(settings.log_level, settings.log_format)
    with servers(settings) as addresses, listen(settings.host, settings.port) as listener:
        asyncio.run(_serve(settings, addresses, listener))


async def _serve(settings: Settings, addresses: Addresses, listener: socket.socket) -> None:
    async with stack(settings, addresses, listener, _print) as running:
        await running.until_stopped()


@contextmanager
def servers(settings: Settings) -> Generator[Addresses]:
    """Start the servers that are not configured, and stop them at the end.

    Raises AlreadyOwnedError and EmbeddedServerError.
    """
    needs_postgres, needs_redis = settings.database_url is None, settings.redis_url is None
    database_url = settings.database_url.get_secret_value() if settings.database_url else ""
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    if not needs_postgres and not needs_redis:
        yield Addresses(
            database_url, banner.place(database_url), redis_url, banner.place(redis_url)
        )
        return
    with EmbeddedServers(settings.var_dir, postgres=needs_postgres, redis=needs_redis) as embedded:
        where = f"embedded, data in {settings.var_dir}"
        yield Addresses(
            database_url=embedded.database_url if needs_postgres else database_url,
            database_origin=where if needs_postgres else banner.place(database_url),
            redis_url=embedded.redis_url if needs_redis else redis_url,
            redis_origin=where if needs_redis else banner.place(redis_url),
            embedded=embedded,
        )


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201  # It is the command line.
