"""What PostgreSQL and its driver make of a claim and an end: each alone, and joined.

Ten jobs are under way at a time, as in a worker. `python benchmarks/moves.py` starts servers of
its own.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from uuid import UUID, uuid4

from report import print_figures
from stores import NO_OP, Stores, open_stores

from service.jobs.ledger import Ledger
from service.store import jobs
from service.store.records import Ending, Holder
from service.store.states import Move

JOBS = 3_000
AT_A_TIME = 10

_SUCCESS = Ending(reason=None, message=None, return_code=0, duration_seconds=0.0)
_HOLDER = Holder(uuid4(), "bench")

_Run: TypeAlias = Callable[[UUID], Awaitable[object]]


def measure() -> dict[str, float]:
    """Return each figure under its name."""
    return asyncio.run(_measure())


async def _measure() -> dict[str, float]:
    async with open_stores() as stores:
        ledger = Ledger(stores.database, lambda: _HOLDER)

        async def alone(job_id: UUID) -> None:
            async with stores.database.connect() as connection:
                job = await jobs.claim(connection, job_id, _HOLDER)
            assert job is not None  # noqa: S101  # Nobody else is here.
            async with stores.database.connect() as connection:
                await jobs.complete(connection, job, _SUCCESS)

        async def joined(job_id: UUID) -> None:
            job = await ledger.claim(job_id)
            assert job is not None  # noqa: S101  # Nobody else is here.
            await ledger.end(Move.COMPLETE, job, _SUCCESS)

        return {
            "claims and ends per second, each alone": await _rate(stores, alone),
            "claims and ends per second, joined": await _rate(stores, joined),
        }


async def _rate(stores: Stores, run: _Run) -> float:
    """Return how many jobs a second *run* takes from waiting to completed."""
    await stores.empty()
    async with stores.database.begin() as connection:
        waiting = iter([(await jobs.create(connection, NO_OP)).id for _ in range(JOBS)])

    async def slot() -> None:
        for job_id in waiting:
            await run(job_id)

    began = time.perf_counter()
    await asyncio.gather(*(slot() for _ in range(AT_A_TIME)))
    return JOBS / (time.perf_counter() - began)


if __name__ == "__main__":
    print_figures(measure())
