"""The keys of requests that may be repeated: each belongs to one job, for a day."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.moves import NOW, seconds
from service.store.tables import idempotency_keys as keys

KEPT_SECONDS = 24 * 3600.0
"""How long a request may be repeated; afterwards its key counts as never used."""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A key that *owner* chose for one request, and the hash of what that request said."""

    owner: str
    key: str
    body_hash: bytes


class Holding(NamedTuple):
    """Whose a key is, and what its first request said."""

    job_id: UUID
    body_hash: bytes


def _expired_after(age: sa.ColumnElement[float]) -> sa.ColumnElement[bool]:
    return keys.c.created_at < NOW - seconds(age)


_NEW = insert(keys).values(
    owner=sa.bindparam("new_owner"),
    key=sa.bindparam("new_key"),
    body_hash=sa.bindparam("new_body_hash"),
    job_id=sa.bindparam("new_job_id"),
)
_TAKE = _NEW.on_conflict_do_update(
    index_elements=["owner", "key"],
    set_={
        "body_hash": _NEW.excluded.body_hash,
        "job_id": _NEW.excluded.job_id,
        "created_at": NOW,
    },
    where=_expired_after(sa.literal(KEPT_SECONDS)),
).returning(keys.c.job_id)
_FIND = sa.select(keys.c.job_id, keys.c.body_hash).where(
    keys.c.owner == sa.bindparam("owner_name"), keys.c.key == sa.bindparam("key_name")
)
_OLD = (
    sa.select(keys.c.owner, keys.c.key)
    .where(_expired_after(sa.bindparam("older_than_seconds", type_=sa.Double)))
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("old")
    .prefix_with("MATERIALIZED")  # Read once, or it is more than *most* that are deleted.
)
_FORGET = sa.delete(keys).where(keys.c.owner == _OLD.c.owner, keys.c.key == _OLD.c.key)


async def take_key(
    connection: AsyncConnection, request: RequestKey, job_id: UUID
) -> Holding | None:
    """Give the key to the job that is made in the same transaction.

    Returns `None` when the key was free, else whose it is: then there must be no other job. Of two
    requests at once the second waits until the first one's transaction has ended.
    """
    while True:
        taken = await connection.execute(
            _TAKE,
            {
                "new_owner": request.owner,
                "new_key": request.key,
                "new_body_hash": request.body_hash,
                "new_job_id": job_id,
            },
        )
        if taken.one_or_none() is not None:
            return None
        found = await connection.execute(
            _FIND, {"owner_name": request.owner, "key_name": request.key}
        )
        holding = found.one_or_none()
        if holding is not None:
            return Holding(*holding)
        # Forgotten between the two statements: it is free now.


async def forget_old_keys(
    connection: AsyncConnection, older_than_seconds: float = KEPT_SECONDS, most: int = 1000
) -> int:
    """Delete up to *most* keys that are older; return how many there were."""
    done = await connection.execute(
        _FORGET, {"older_than_seconds": older_than_seconds, "most": most}
    )
    return done.rowcount
