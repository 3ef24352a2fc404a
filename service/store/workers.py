"""The workers there are, each with one lease for all its jobs.

A worker's row has a new id each time a worker of that name starts. Jobs belong to the id: those of
a predecessor are lost the moment its row is taken over.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.moves import NOW, seconds
from service.store.states import Status
from service.store.tables import jobs, workers


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a worker is: enough to prove later, on the same host, that its process is gone."""

    id: UUID
    name: str
    host: str
    boot_id: str
    pid: int
    process_started_at: float
    queues: tuple[str, ...]
    concurrency: int
    isolation: str
    is_standby: bool
    """Runs jobs only while no worker can, as the API does; not a worker to be counted."""


@dataclass(frozen=True, slots=True)
class Worker(Identity):
    """A worker's row. `is_alive` is the database's own judgement of its lease."""

    started_at: datetime
    lease_until: datetime
    is_draining: bool
    is_alive: bool

    @classmethod
    def of(cls, row: sa.Row[Any]) -> Self:
        """Read a worker from a row that also tells `is_alive`."""
        values = {field.name: getattr(row, field.name) for field in fields(cls)}
        values["queues"] = tuple(values["queues"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Held:
    """A job as its worker must see it: still its own, and perhaps no longer wanted."""

    job_id: UUID
    fence: int
    is_cancelled: bool
    terminates: bool


def has_lease(worker_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Say that the worker of that id may hold what it holds.

    It is lost when its row is gone (its name was taken over) or the lease in it has run out. No
    lease counts as run out before the server itself has been up for a whole one: workers could not
    renew theirs while it was down. Takes the parameters `lease_seconds` and `trusts_leases`;
    without trust only a missing row proves anything.
    """
    return sa.exists().where(
        workers.c.id == worker_id,
        sa.or_(
            workers.c.lease_until > NOW,
            sa.func.pg_postmaster_start_time()
            > NOW - seconds(sa.bindparam("lease_seconds", type_=sa.Double)),
            ~sa.bindparam("trusts_leases", type_=sa.Boolean),
        ),
    )


_LEASE = NOW + seconds(sa.bindparam("lease_seconds", type_=sa.Double))
_READ = sa.select(workers, (workers.c.lease_until > NOW).label("is_alive"))


async def find(connection: AsyncConnection, name: str) -> Worker | None:
    """Return the worker of that name, alive or not."""
    row = (await connection.execute(_READ.where(workers.c.name == name))).one_or_none()
    return None if row is None else Worker.of(row)


async def all_workers(connection: AsyncConnection) -> list[Worker]:
    """Return every worker that has not signed off, by name."""
    return [Worker.of(row) for row in await connection.execute(_READ.order_by(workers.c.name))]


async def register(
    connection: AsyncConnection,
    who: Identity,
    *,
    lease_seconds: float,
    instead_of: UUID | None = None,
) -> bool:
    """Sign on with a fresh lease; False when a live worker has the name.

    *instead_of* is the id of a predecessor whose process is provably gone: its row is taken over
    although its lease still runs.
    """
    given = {
        "id": who.id,
        "name": who.name,
        "host": who.host,
        "boot_id": who.boot_id,
        "pid": who.pid,
        "process_started_at": who.process_started_at,
        "queues": list(who.queues),
        "concurrency": who.concurrency,
        "isolation": who.isolation,
        "is_standby": who.is_standby,
    }
    changed = {**given, "started_at": NOW, "lease_until": _LEASE, "is_draining": False}
    statement = (
        insert(workers)
        .values(**given, lease_until=_LEASE)
        .on_conflict_do_update(
            index_elements=["name"],
            set_=changed,
            where=sa.or_(workers.c.lease_until <= NOW, workers.c.id == instead_of),
        )
        .returning(workers.c.id)
    )
    done = await connection.execute(statement, {"lease_seconds": lease_seconds})
    return done.one_or_none() is not None


async def renew(connection: AsyncConnection, worker_id: UUID, *, lease_seconds: float) -> bool:
    """Renew the lease; False when the worker's row is gone."""
    renewed = (
        sa.update(workers)
        .where(workers.c.id == worker_id)
        .values(lease_until=_LEASE)
        .returning(workers.c.id)
    )
    done = await connection.execute(renewed, {"lease_seconds": lease_seconds})
    return done.one_or_none() is not None


async def list_held(connection: AsyncConnection, worker_id: UUID) -> list[Held]:
    """Return the jobs the worker holds.

    A job the worker runs and that is not in the list was taken from it.
    """
    rows = await connection.execute(
        sa.select(
            jobs.c.id, jobs.c.fence, jobs.c.cancel_requested_at, jobs.c.cancel_terminates
        ).where(jobs.c.worker_id == worker_id, jobs.c.status == Status.RUNNING)
    )
    return [
        Held(row.id, row.fence, row.cancel_requested_at is not None, row.cancel_terminates)
        for row in rows
    ]


async def served_queues(connection: AsyncConnection, *, trusts_leases: bool) -> frozenset[str]:
    """Return the queues that a worker serves; one that drains is expected back.

    Without *trusts_leases* a worker counts although its lease has run out.
    """
    served = sa.select(sa.func.unnest(workers.c.queues)).where(~workers.c.is_standby)
    if trusts_leases:
        served = served.where(workers.c.lease_until > NOW)
    return frozenset((await connection.execute(served)).scalars())


async def rename(connection: AsyncConnection, worker_id: UUID, name: str) -> bool:
    """Give the worker another name, so that its successor can sign on; its jobs stay its own.

    False when another worker's row has that name, or its own is gone.
    """
    other = workers.alias()
    renamed = await connection.execute(
        sa.update(workers)
        .where(
            workers.c.id == worker_id,
            ~sa.exists().where(other.c.name == name, other.c.id != worker_id),
        )
        .values(name=name)
        .returning(workers.c.id)
    )
    return renamed.one_or_none() is not None


async def mark_draining(connection: AsyncConnection, worker_id: UUID) -> None:
    """Show that the worker takes no more jobs."""
    await connection.execute(
        sa.update(workers).where(workers.c.id == worker_id).values(is_draining=True)
    )


async def sign_off(connection: AsyncConnection, worker_id: UUID) -> None:
    """Forget the worker. Jobs it still holds are lost at once, not after its lease."""
    await connection.execute(sa.delete(workers).where(workers.c.id == worker_id))


async def forget_lost(connection: AsyncConnection, *, lost_seconds: float) -> list[str]:
    """Forget workers whose lease ran out *lost_seconds* ago and who hold no job; name them.

    None before the server itself has been up as long: while it was down, nobody could renew. One
    that comes back after all signs on anew.
    """
    since = NOW - seconds(sa.literal(lost_seconds, sa.Double))
    rows = await connection.execute(
        sa.delete(workers)
        .where(
            workers.c.lease_until < since,
            sa.func.pg_postmaster_start_time() < since,
            ~sa.exists().where(jobs.c.worker_id == workers.c.id, jobs.c.status == Status.RUNNING),
        )
        .returning(workers.c.name)
    )
    return sorted(rows.scalars())
