"""`data20 api`, `data20 worker`, `data20 db upgrade`: one process each, on configured servers."""

import asyncio
import resource
import socket
import sys
from functools import partial

from service import worker as worker_process
from service.api import ask_to_stop, create_app
from service.cli import banner
from service.cli.http_server import HttpServer
from service.cli.listening import address, listen
from service.cli.succession import ASKS_FOR_SUCCESSOR, OwnSuccession, ask
from service.config import Settings
from service.errors import SettingsError
from service.execution.isolation import detect_isolation
from service.jobs.context import Context
from service.log import configure_logging
from service.queue.broker import Broker
from service.store.database import Database
from service.store.migrate import upgrade
from service.tools.catalog import Catalog


def serve_api(settings: Settings, listener_fd: int | None, *, is_alone: bool) -> None:
    """Serve HTTP until SIGTERM or SIGINT; *listener_fd* is a socket that listens already."""
    configure_logging(settings.log_level, settings.log_format)
    app = create_app(settings)
    if listener_fd is None:
        listener = listen(settings.host, settings.port)
    else:
        listener = socket.socket(fileno=listener_fd)
    if is_alone:
        asyncio.run(_print_api(settings, address(listener)))
    server = HttpServer(app, partial(ask_to_stop, app))
    server.run(sockets=[listener])
    if not server.started:
        sys.exit(1)


def serve_worker(settings: Settings, owner: int | None) -> None:
    """Run a worker until it is drained, and if it is nobody's, until its successors are."""
    configure_logging(settings.log_level, settings.log_format)
    _allow_many_files()
    isolation = detect_isolation()
    if owner is not None:
        worker_process.Worker(
            settings=settings, isolation=isolation, begin_succession=partial(ask, owner)
        ).run()
        return
    asyncio.run(_print_worker(worker_process.make_context(settings, isolation)))
    succession = OwnSuccession()
    worker = worker_process.Worker(
        settings=settings,
        isolation=isolation,
        begin_succession=succession.begin,
        pass_on_signal=succession.pass_on,
    )
    worker.loop.add_signal_handler(ASKS_FOR_SUCCESSOR, succession.begin)
    worker.run()
    succession.watch()


def _allow_many_files() -> None:
    """Use all the descriptors that the system allows: each running tool takes five."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def upgrade_schema(settings: Settings) -> str:
    """Run the missing migrations; return a sentence that says what was done."""
    if settings.database_url is None:
        raise SettingsError("DATABASE_URL: says which database to upgrade")
    before, after = asyncio.run(_upgrade(settings.database_url.get_secret_value()))
    if before == after:
        return f"The schema is at {after}; nothing to do"
    return f"The schema went from {before or 'nothing'} to {after}"


async def _upgrade(url: str) -> tuple[str | None, str]:
    database = Database(url, name="data20-upgrade", pool_size=1, answer_within=None)
    try:
        return await upgrade(database)
    finally:
        await database.close()


async def _print_api(settings: Settings, url: str) -> None:
    assert settings.database_url is not None  # noqa: S101  # create_app has refused otherwise.
    assert settings.redis_url is not None  # noqa: S101  # Likewise.
    database_url = settings.database_url.get_secret_value()
    redis_url = settings.redis_url.get_secret_value()
    database, broker = Database(database_url, pool_size=1), Broker(redis_url)
    try:
        lines = [
            await banner.database_line(database, banner.place(database_url)),
            await banner.broker_line(broker, banner.place(redis_url)),
            *banner.tools_lines(Catalog(settings.tools_dir), settings.tools_dir),
            banner.line("->", "open", url),
        ]
    finally:
        await broker.close()
        await database.close()
    _print("data20 api", lines)


async def _print_worker(context: Context) -> None:
    settings = context.settings
    assert settings.database_url is not None  # noqa: S101  # make_context has refused otherwise.
    assert settings.redis_url is not None  # noqa: S101  # Likewise.
    database_place = banner.place(settings.database_url.get_secret_value())
    broker_place = banner.place(settings.redis_url.get_secret_value())
    try:
        lines = [
            await banner.database_line(context.database, database_place),
            await banner.broker_line(context.broker, broker_place),
            *banner.tools_lines(context.catalog, settings.tools_dir),
            banner.line("ok", "isolation", str(context.isolation)),
            banner.line(
                "ok",
                "worker",
                f"{settings.worker}, {settings.concurrency} at a time, "
                f"queues {', '.join(settings.queues)}",
            ),
        ]
    finally:
        await context.broker.close()
        await context.database.close()
    _print("data20 worker", lines)


def _print(title: str, lines: list[str]) -> None:
    print(title, *lines, sep="\n", flush=True)  # noqa: T201  # It is the command line.
