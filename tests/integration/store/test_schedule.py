"""What the schedule reads, and what it leaves alone."""

from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.config import QUEUES
from service.store import jobs, schedule
from service.store.database import Database
from tests.integration.store.making import NEW

_PUT_OFF = 3000
_PLANS = 8
"""So often that PostgreSQL has come to plan without the parameters."""


async def _put_off(connection: AsyncConnection, count: int) -> None:
    """Let so many jobs wait for tomorrow."""
    await jobs.create(connection, replace(NEW, delay_seconds=86_400.0))
    await connection.execute(
        sa.text(
            "INSERT INTO jobs SELECT (jsonb_populate_record("
            " jobs, jsonb_build_object('id', gen_random_uuid()))).*"
            " FROM jobs, generate_series(2, :count)"
        ),
        {"count": count},
    )
    await connection.execute(sa.text("ANALYZE jobs"))


async def _rows_read(connection: AsyncConnection) -> int:
    """Return how many jobs were read in this transaction so far."""
    found = await connection.execute(
        sa.text(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables"
            " WHERE relname = 'jobs'"
        )
    )
    return found.scalar_one()


async def test_what_is_put_off_is_not_read_to_find_what_is_out(database: Database) -> None:
    """It has an earlier place than the one that is out, and there may be very many."""
    async with database.connect() as connection:
        await _put_off(connection, _PUT_OFF)
        out = await jobs.create(connection, NEW)
        assert await jobs.mark_enqueued(connection, out.id)
    async with database.begin() as connection:
        before = await _rows_read(connection)
        for _ in range(_PLANS):
            assert await schedule.queues_with_deliveries(connection, QUEUES) == [out.queue]
            listed = await schedule.list_delivered(connection, out.queue, most=10)
            assert [each.id for each in listed] == [out.id]
        assert await _rows_read(connection) - before <= 2 * _PLANS
