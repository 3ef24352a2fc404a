"""The lines a process prints when it starts: what it found, and where to look."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service.errors import BrokerUnavailableError, StoreUnavailableError

if TYPE_CHECKING:  # They take long to import; who has none to show needs none.
    from service.queue.broker import Broker
    from service.store.database import Database
    from service.tools.catalog import Catalog

_WIDTH = 11


def line(mark: str, topic: str, text: str) -> str:
    """Return one line: a mark (`ok`, `--`, `!!`), what it is about, what is so."""
    return f"  {mark}  {topic:<{_WIDTH}}{text}"


def is_trouble(each: str) -> bool:
    """Tell whether a line says that something must be done."""
    return each.startswith("  !!")


async def database_line(database: "Database", origin: str) -> str:
    """Say which PostgreSQL answers, or that none does."""
    try:
        return line("ok", "database", f"PostgreSQL {await database.version()}, {origin}")
    except StoreUnavailableError as error:
        return line("!!", "database", f"{error}; jobs are refused until it does")


async def broker_line(broker: "Broker", origin: str) -> str:
    """Say which Redis answers, or that none does."""
    try:
        return line("ok", "broker", f"{await broker.version()} (database 1), {origin}")
    except BrokerUnavailableError as error:
        return line("!!", "broker", f"{error}; jobs wait in the database until it does")


def tools_lines(catalog: "Catalog", folders: Sequence[object]) -> list[str]:
    """Say how many tools there are, and name those that cannot be read."""
    tools = catalog.tools()
    working = [tool for tool in tools if not tool.is_broken]
    where = ", ".join(str(folder) for folder in folders)
    count = f"{len(working)} tool{'' if len(working) == 1 else 's'}"
    lines = [line("ok" if working else "!!", "tools", f"{count} in {where}")]
    lines += [
        line("!!", "", f"{tool.name} cannot be run: {tool.broken_reason}")
        for tool in tools
        if tool.is_broken
    ]
    return [*lines, *(line("!!", "", note) for note in catalog.notes)]


def place(url: str) -> str:
    """Return an address without its user and password."""
    parts = urlsplit(url)
    host = parts.hostname or "a private socket"
    port = f":{parts.port}" if parts.port else ""
    return f"{host}{port}"
