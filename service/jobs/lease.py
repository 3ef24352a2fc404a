"""The worker's lease: signed on once, renewed by heartbeats, given up at the end.

What runs here must be gone before somebody else may take it over. So the keeper of each tool knows
a moment, pushed on by every renewal and a little before the lease's end, at which it kills the tool
by itself (`Context.hold`, `execution/keeper.py`). Both are counted from *before* the renewing
statement was sent: the server's clock reads later than that.

When PostgreSQL is silent, it may be cut off from us alone, and others may take our jobs over: the
moment stays, and what it ends is handed back as soon as may be. When it is known not to run
(`StoreDownError`), nobody can take anything over: no worker trusts the lease of another before the
server has been up, and its own connections whole, for one lease. So the moment is pushed on, and
tools run through an outage of any length. That takes DATABASE_URL for the address of the server
itself; behind a proxy that refuses connections while the server goes on, it would not hold.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import psutil
import structlog

from service.config import QUEUES, Settings
from service.errors import StoreDownError, WorkerNameTakenError
from service.execution.hold import NANOSECONDS, boot_nanoseconds
from service.execution.isolation import Isolation
from service.execution.stop import Stop, StopKind
from service.jobs.context import Context
from service.store import jobs, lookup, workers
from service.store.records import Ending
from service.store.states import Reason, Status
from service.store.workers import Identity, Worker

log = structlog.stdlib.get_logger(__name__)

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")
_MOST_MARGIN_SECONDS = 1.5
_NEVER_RUN = Ending(Reason.CANCELLED, "Cancelled", return_code=None, duration_seconds=0.0)


def identify(settings: Settings, isolation: Isolation) -> Identity:
    """Say who this process is as a worker, with a new id."""
    return Identity(
        id=uuid4(),
        name=settings.worker,
        host=socket.gethostname(),
        boot_id=_boot_and_container(),
        pid=os.getpid(),
        process_started_at=psutil.Process().create_time(),
        queues=settings.queues,
        concurrency=settings.concurrency,
        isolation=isolation,
        is_standby=False,
    )


def identify_standby(settings: Settings, isolation: Isolation) -> Identity:
    """Say who this process is as one that runs jobs only while no worker can."""
    known = identify(settings, isolation)
    return replace(
        known,
        name=f"api@{known.host}:{known.pid}",
        queues=QUEUES,
        concurrency=settings.local_concurrency,
        is_standby=True,
    )


def is_provably_gone(worker: Worker) -> bool:
    """True only when *worker* ran on this very host and its process is no longer there.

    Of another host, or another container, nothing can be proved; its lease must run out.
    """
    if worker.host != socket.gethostname():
        return False
    if worker.boot_id != _boot_and_container():
        # Another machine or container may have our host's name; its process numbers mean nothing.
        return False
    try:
        found = psutil.Process(worker.pid)
        # Another process may have the number by now.
        return (
            found.status() == psutil.STATUS_ZOMBIE
            or abs(found.create_time() - worker.process_started_at) > 1
        )
    except psutil.NoSuchProcess:
        return True


async def sign_on(context: Context) -> None:
    """Take the lease; at once when a predecessor of the name is provably gone.

    Raises WorkerNameTakenError when a live worker has the name.
    """
    who = context.identity
    asked_at = boot_nanoseconds()
    async with context.database.connect() as connection:
        before = await workers.find(connection, who.name)
        gone = before.id if before is not None and is_provably_gone(before) else None
        if not await workers.register(
            connection, who, lease_seconds=context.settings.lease_seconds, instead_of=gone
        ):
            holder = f" (process {before.pid} on {before.host})" if before else ""
            raise WorkerNameTakenError(
                f"A live worker is called {who.name}{holder}; choose another name with --name"
            )
    _push_on(context, asked_at)
    if before is not None:
        log.info("took over", worker=who.name, predecessor=str(before.id))


async def bury_standbys(context: Context) -> None:
    """Forget standbys that are provably gone, so that their jobs count as lost at once.

    None of them comes back under its name, which holds a process number.
    """
    async with context.database.connect() as connection:
        for each in await workers.all_workers(connection):
            if each.is_standby and is_provably_gone(each):
                log.info("buried", worker=each.name)
                await workers.sign_off(connection, each.id)


async def heartbeat(context: Context) -> None:
    """Renew the lease, and act on what the store says of the jobs held here.

    Raises WorkerNameTakenError when a live worker has taken the name; nothing runs here then.
    """
    # Before reading: a job claimed while we read is not in the answer, and yet ours.
    known = {
        job_id: (running.fence, running.stop)
        for job_id, running in context.running.items()
        if running.fence is not None
    }
    context.regularity.miss_if_late()
    if not await _renew(context):
        # This process was stopped for long, say, and its row taken over or cleaned up.
        log.warning("lease lost", worker=context.identity.name)
        try:
            await sign_on(context)
        except WorkerNameTakenError:
            context.stop_all(StopKind.TERMINATE)
            raise
    context.regularity.renewed()
    async with context.database.connect() as connection:
        held = await workers.list_held(connection, context.identity.id)
    _compare(known, held)
    await _let_go_of_strays(context, held)


async def _renew(context: Context) -> bool:
    """Renew the lease, and let the tools run on: what they are of is ours while it never ended."""
    asked_at = boot_nanoseconds()
    try:
        async with context.database.connect() as connection:
            is_renewed = await workers.renew(
                connection, context.identity.id, lease_seconds=context.settings.lease_seconds
            )
    except StoreDownError:
        _push_on(context, asked_at)
        raise
    if is_renewed:
        _push_on(context, asked_at)
    return is_renewed


def _push_on(context: Context, asked_at: int) -> None:
    lease = context.settings.lease_seconds
    context.hold.push_on(asked_at + int((lease - _margin_seconds(lease)) * NANOSECONDS))


def _margin_seconds(lease_seconds: float) -> float:
    """What a kill may take on a busy machine; a tenth of a short lease."""
    return min(_MOST_MARGIN_SECONDS, lease_seconds / 10)


def _compare(known: Mapping[UUID, tuple[int, Stop]], held: Sequence[workers.Held]) -> None:
    by_id = {each.job_id: each for each in held}
    for job_id, (fence, stop) in known.items():
        row = by_id.get(job_id)
        if row is None or row.fence != fence:
            # Taken away, or just finished; then there is nothing left to stop.
            stop.request(StopKind.TERMINATE)
        elif row.is_cancelled:
            stop.request(StopKind.TERMINATE if row.terminates else StopKind.CANCEL)


async def _let_go_of_strays(context: Context, held: Sequence[workers.Held]) -> None:
    """Hand back what the store says is held here and nothing here knows, at two looks.

    Such a job would stay as it is as long as this worker lives.
    """
    strays = {(each.job_id, each.fence) for each in held if each.job_id not in context.running}
    twice, context.strays = strays & context.strays, strays
    for job_id, fence in twice:
        async with context.database.connect() as connection:
            job = await lookup.get_job(connection, job_id)
            if job.fence != fence or job.status is not Status.RUNNING:
                continue
            log.error("nobody here runs it", job_id=str(job_id), fence=fence)
            if await jobs.release(connection, job) is None:
                await jobs.stop(connection, job, _NEVER_RUN)


def _boot_and_container() -> str:
    """Name this run of the host, and within it the set of processes that this one is among."""
    return f"{_BOOT_ID.read_text().strip()}/{_PID_NAMESPACE.stat().st_ino}"
