"""How the whole is: both stores, workers, queues, and the host that answers.

Each look has a second at most, and none waits for another; so whoever asks is answered in about
that time, whatever is down.
"""

import asyncio
import os
import socket
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil

from service import __version__
from service.errors import BrokerUnavailableError, StoreUnavailableError
from service.queue.broker import Broker
from service.store import backlog, workers
from service.store.backlog import QueueDepth
from service.store.database import Database
from service.store.workers import Worker

PATIENCE_SECONDS = 0.8

_OLD_SECONDS = 300.0
"""How long a job may wait for a worker before somebody should look."""

_LOAD_PER_CORE = 4.0
_LOW_MEMORY = 0.10
_LOW_DISK = 0.10
_FULL_DISK = 0.05


class Grade(StrEnum):
    """How well something is; the last is the worst."""

    OK = "ok"
    DEGRADED = "degraded"
    """Jobs are accepted and none is lost, but something needs a look."""
    FAILING = "failing"
    """Jobs cannot be accepted, or it is not known whether they can."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: how it is, in a sentence, and in figures."""

    status: Grade
    message: str
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Health:
    """All of it, as seen from one process at one moment. `status` is the worst of the checks."""

    status: Grade
    checked_at: datetime
    host: str
    version: str
    checks: Mapping[str, Check]


async def examine(database: Database, broker: Broker, folder: Path) -> Health:
    """Look at everything now; *folder* is where the service keeps its files.

    Never raises, and takes little more than PATIENCE_SECONDS.
    """
    of_store, of_queues, of_broker, of_host = await asyncio.gather(
        _in_time(_look_at_store(database), _store_silent()),
        _in_time(_look_at_queues(database), _not_counted("Too many jobs to count in time")),
        _in_time(_look_at_broker(broker), {"redis": _without_redis("no answer in time")}),
        _in_time(asyncio.to_thread(_look_at_host, folder), _host_silent()),
    )
    checks = {**of_queues, **of_store, **of_broker, **of_host}
    worst = max((each.status for each in checks.values()), key=list(Grade).index)
    return Health(worst, datetime.now(UTC), socket.gethostname(), __version__, checks)


_abandoned: set["asyncio.Task[dict[str, Check]]"] = set()


async def _in_time(
    look: Coroutine[Any, Any, dict[str, Check]], otherwise: dict[str, Check]
) -> dict[str, Check]:
    """Return what *look* finds, or *otherwise* when that takes too long.

    It is not waited for then: even to break off a call to a silent server can take seconds.
    """
    task = asyncio.create_task(look)
    await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
    if task.done():
        return task.result()
    task.cancel()
    _abandoned.add(task)
    task.add_done_callback(_abandoned.discard)
    return otherwise


async def _look_at_store(database: Database) -> dict[str, Check]:
    begun = asyncio.get_running_loop().time()
    try:
        async with database.connect() as connection:
            known = await workers.all_workers(connection)
    except StoreUnavailableError as error:
        return _without_store(str(error))
    took = asyncio.get_running_loop().time() - begun
    answered = Check(Grade.OK, "PostgreSQL answers", {"answered_in_ms": round(took * 1000, 1)})
    return {
        "database": answered,
        "workers": judge_workers([each for each in known if not each.is_standby]),
    }


async def _look_at_queues(database: Database) -> dict[str, Check]:
    """Count what waits, which takes the longer the more there is: it tells nothing of the store."""
    try:
        async with database.connect() as connection:
            return {"queues": judge_queues(await backlog.measure(connection))}
    except StoreUnavailableError as error:
        return _not_counted(f"Not counted: {error}")


def _not_counted(why: str) -> dict[str, Check]:
    return {"queues": Check(Grade.DEGRADED, why)}


def _store_silent() -> dict[str, Check]:
    return _without_store("PostgreSQL does not answer in time")


def _without_store(why: str) -> dict[str, Check]:
    """Return what is known then, of the queues too."""
    unknown = Check(Grade.FAILING, "Unknown without PostgreSQL")
    return {"database": Check(Grade.FAILING, why), "workers": unknown, "queues": unknown}


async def _look_at_broker(broker: Broker) -> dict[str, Check]:
    try:
        version = await broker.version()
    except BrokerUnavailableError as error:
        return {"redis": _without_redis(str(error))}
    return {"redis": Check(Grade.OK, f"{version} answers")}


def _without_redis(why: str) -> Check:
    return Check(Grade.DEGRADED, f"Jobs start later than they could: {why}")


def judge_workers(known: Sequence[Worker]) -> Check:
    """Grade the workers: there should be one that takes jobs, and none that was lost.

    Whoever only stands in while there is none does not count.
    """
    hired = [each for each in known if not each.is_standby]
    draining = sum(each.is_alive and each.is_draining for each in hired)
    lost = sum(not each.is_alive for each in hired)
    live = len(hired) - draining - lost
    facts = {"live": live, "draining": draining, "lost": lost}
    if live == 0:
        return Check(Grade.DEGRADED, "No worker takes jobs", facts)
    if lost:
        return Check(Grade.DEGRADED, f"{lost} of {len(hired)} workers lost their lease", facts)
    return Check(Grade.OK, f"{live} {'worker takes' if live == 1 else 'workers take'} jobs", facts)


def judge_queues(depths: Sequence[QueueDepth]) -> Check:
    """Grade the queues: no job should wait for minutes."""
    facts = {
        each.queue: {
            "waiting": each.waiting,
            "scheduled": each.scheduled,
            "running": each.running,
            "oldest_waiting_seconds": each.oldest_waiting_seconds,
        }
        for each in depths
    }
    waiting = sum(each.waiting for each in depths)
    oldest = max((each.oldest_waiting_seconds or 0.0 for each in depths), default=0.0)
    if oldest > _OLD_SECONDS:
        sentence = f"{waiting} jobs wait, the oldest for {oldest / 60:.0f} minutes"
        return Check(Grade.DEGRADED, sentence, facts)
    return Check(Grade.OK, f"{waiting} jobs wait" if waiting else "No job waits", facts)


def _look_at_host(folder: Path) -> dict[str, Check]:
    return {"cpu": _look_at_cpu(), "memory": _look_at_memory(), "disk": _look_at_disk(folder)}


def _look_at_cpu() -> Check:
    cores = psutil.cpu_count() or 1
    load = os.getloadavg()[1]  # Of five minutes: a short peak is what a worker is for.
    facts = {"cores": cores, "load": round(load, 2)}
    grade = Grade.DEGRADED if load > _LOAD_PER_CORE * cores else Grade.OK
    return Check(grade, f"A load of {load:.1f} on {cores} cores", facts)


def _look_at_memory() -> Check:
    memory = psutil.virtual_memory()
    free = memory.available / memory.total
    facts = {"total_bytes": memory.total, "available_bytes": memory.available}
    grade = Grade.DEGRADED if free < _LOW_MEMORY else Grade.OK
    return Check(grade, f"{free:.0%} of the memory is free", facts)


def _look_at_disk(folder: Path) -> Check:
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    disk = psutil.disk_usage(str(there))
    # What is kept for root alone is not free, nor counted by `df`.
    free = disk.free / max(disk.free + disk.used, 1)
    facts = {"folder": str(folder), "total_bytes": disk.total, "free_bytes": disk.free}
    return Check(judge_disk(free), f"{free:.0%} of the disk is free", facts)


def judge_disk(free: float) -> Grade:
    """Grade the free part of a disk, from 0 to 1."""
    if free < _FULL_DISK:
        return Grade.FAILING
    return Grade.DEGRADED if free < _LOW_DISK else Grade.OK


def _host_silent() -> dict[str, Check]:
    return {"disk": Check(Grade.FAILING, "The disk does not answer in time")}
