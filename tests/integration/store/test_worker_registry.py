"""Workers that are long gone are forgotten; those that may come back, or hold a job, are not."""

from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import workers
from tests.integration.store.making import claimed, signed_on

MOMENT = 0.001
"""So short that the server has been up for longer."""


async def test_a_worker_whose_lease_ran_out_long_ago_is_forgotten(
    connection: AsyncConnection,
) -> None:
    gone = await signed_on(connection, lease_seconds=-10)
    live = await signed_on(connection)
    assert await workers.forget_lost(connection, lost_seconds=MOMENT) == [gone.name]
    assert [each.id for each in await workers.all_workers(connection)] == [live.id]


async def test_a_worker_that_was_lost_of_late_is_still_shown(connection: AsyncConnection) -> None:
    await signed_on(connection, lease_seconds=-10)
    assert await workers.forget_lost(connection, lost_seconds=3600) == []


async def test_a_worker_that_holds_a_job_is_not_forgotten(connection: AsyncConnection) -> None:
    """With its row its job would count as lost at once, whether the worker lives or not."""
    await claimed(connection, await signed_on(connection, lease_seconds=-10))
    assert await workers.forget_lost(connection, lost_seconds=MOMENT) == []


async def test_nobody_is_forgotten_before_the_server_has_been_up_as_long(
    connection: AsyncConnection,
) -> None:
    """While it was down, nobody could renew."""
    await signed_on(connection, lease_seconds=-1_000_000)
    assert await workers.forget_lost(connection, lost_seconds=900_000) == []
