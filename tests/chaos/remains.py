"""What a run must not leave behind, beside its rows: processes, keys, connections, files."""

import contextlib
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from uuid import UUID

from service.config import BROKER_DATABASE, CACHE_DATABASE
from service.execution.leftovers import TAG_VARIABLE
from service.queue.broker import COMPLETE_KEY
from tests.chaos.checker import Violation
from tests.servers import postgres_client, redis_client

_LASTING_KEYS = frozenset({f"{BROKER_DATABASE}:{COMPLETE_KEY}"})
"""One key of the service's own, which says that Redis has not been emptied."""

_HALF_REMOVED = ".removing-"
"""What a worker was removing when it was killed; others leave it alone for an hour."""

_CONNECTIONS = """
    SELECT application_name, count(*) AS count FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND usename = current_user
    GROUP BY application_name
"""


def tagged_processes(job_ids: Collection[UUID]) -> dict[int, str]:
    """Return every live process that carries the tag of one of these jobs, with its tag."""
    found: dict[int, str] = {}
    prefix = f"{TAG_VARIABLE}=".encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # Gone, or another user's.
        for each in environment:
            if each.startswith(prefix):
                tag = each.removeprefix(prefix).decode(errors="replace")
                if _job_id(tag) in job_ids:
                    found[int(folder.name)] = tag
    return found


async def redis_keys(url: str) -> set[str]:
    """Return every key of both databases, each behind its database's number."""
    keys: set[str] = set()
    for database in (CACHE_DATABASE, BROKER_DATABASE):
        async with redis_client(url, database) as client:
            keys |= {f"{database}:{key}" async for key in client.scan_iter()}
    return keys


def open_files(pid: int | None = None) -> Counter[str]:
    """Count what a process, or this one, has open, by kind; sockets are left out.

    Pools keep connections as long as they like; those to PostgreSQL are looked for on its side.
    """
    kinds: Counter[str] = Counter()
    for each in Path(f"/proc/{pid or 'self'}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # The one by which this is read.
            kind = str(each.readlink()).partition("[")[0]
            if kind != "socket:":
                kinds[kind] += 1
    return kinds


async def find_remains(
    *,
    job_ids: Collection[UUID],
    database_url: str,
    redis_url: str,
    keys_before: Collection[str],
    workspaces: Path,
) -> list[Violation]:
    """Return what is left when every process of the service has been stopped."""
    found = list(_processes(job_ids))
    left = await redis_keys(redis_url) - set(keys_before) - _LASTING_KEYS
    found += [Violation("no key is left", None, key) for key in left]
    async with postgres_client(database_url) as connection:
        found += [
            Violation("no connection is left", None, f"{row['count']} of {row['application_name']}")
            for row in await connection.fetch(_CONNECTIONS)
        ]
        found += [
            Violation("who stops signs off", None, row["name"])
            for row in await connection.fetch("SELECT name FROM workers")
        ]
    return [*found, *_folders(workspaces)]


def _processes(job_ids: Collection[UUID]) -> Iterable[Violation]:
    for pid, tag in tagged_processes(job_ids).items():
        yield Violation("no process is left", _job_id(tag), f"process {pid} of {tag}")


def _folders(workspaces: Path) -> Iterable[Violation]:
    for left in workspaces.iterdir() if workspaces.is_dir() else ():
        if not left.name.startswith(_HALF_REMOVED):
            yield Violation("no folder is left", None, left.name)


def _job_id(tag: str) -> UUID | None:
    try:
        return UUID(tag.partition(":")[0])
    except ValueError:
        return None
