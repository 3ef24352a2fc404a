"""Compute what each tool has done so far."""

from dataclasses import dataclass

from service.jobs.context import Context
from service.store import statistics as store


@dataclass(frozen=True, slots=True)
class StatisticsOutcome:
    """How many tools have statistics now."""

    tools: int


async def statistics(context: Context) -> StatisticsOutcome:
    """Bring the statistics of every tool up to date, in one statement."""
    async with context.database.connect() as connection:
        return StatisticsOutcome(tools=await store.update(connection))
