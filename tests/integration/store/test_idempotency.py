"""Keys of requests: whose they are, and how they are forgotten."""

from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import jobs
from service.store.database import Database
from service.store.idempotency import RequestKey, forget_old_keys, take_key
from tests.integration.store.making import NEW


async def _keep(database: Database, key: str, owner: str = "") -> UUID:
    """Give the key to a new job."""
    job_id = uuid4()
    async with database.begin() as connection:
        assert await take_key(connection, RequestKey(owner, key, b"body"), job_id) is None
        await jobs.create(connection, NEW, job_id)
    return job_id


async def _count(connection: AsyncConnection) -> int:
    found = await connection.execute(sa.text("SELECT count(*) FROM idempotency_keys"))
    return found.scalar_one()


async def test_a_key_that_is_taken_says_whose_it_is(database: Database) -> None:
    job_id = await _keep(database, "a")
    async with database.begin() as connection:
        holding = await take_key(connection, RequestKey("", "a", b"other"), uuid4())
    assert holding == (job_id, b"body")


async def test_each_owner_has_keys_of_its_own(database: Database) -> None:
    assert await _keep(database, "a") != await _keep(database, "a", owner="somebody")


async def test_a_key_without_a_job_is_not_kept(
    database: Database, connection: AsyncConnection
) -> None:
    with pytest.raises(IntegrityError):
        async with database.begin() as transaction:
            assert await take_key(transaction, RequestKey("", "a", b""), uuid4()) is None
    assert await _count(connection) == 0


async def test_a_key_goes_with_its_job(database: Database, connection: AsyncConnection) -> None:
    await _keep(database, "a")
    await connection.execute(sa.text("DELETE FROM jobs"))
    assert await _count(connection) == 0


async def test_old_keys_are_forgotten_some_at_a_time(
    database: Database, connection: AsyncConnection
) -> None:
    kept = [await _keep(database, str(number)) for number in range(5)]
    await connection.execute(
        sa.text(
            "UPDATE idempotency_keys SET created_at = now() - interval '2 days' WHERE key <> '0'"
        )
    )
    forgotten = [await forget_old_keys(connection, most=3) for _ in range(3)]
    assert forgotten == [3, 1, 0]
    left = await connection.execute(sa.text("SELECT job_id FROM idempotency_keys"))
    assert list(left.scalars()) == [kept[0]]
    count = await connection.execute(sa.text("SELECT count(*) FROM jobs"))
    assert count.scalar_one() == 5
