"""Keep the registry of workers: forget those that are long gone."""

from dataclasses import dataclass

import structlog

from service.jobs.context import Context
from service.store import workers

log = structlog.stdlib.get_logger(__name__)

_LOST_SECONDS = 3600.0
"""How long a lost worker is shown, so that somebody can notice it."""


@dataclass(frozen=True, slots=True)
class UpkeepOutcome:
    """How many workers were forgotten."""

    workers: int


async def upkeep(context: Context) -> UpkeepOutcome:
    """Forget workers whose lease ran out an hour ago and who hold no job."""
    async with context.database.connect() as connection:
        names = await workers.forget_lost(connection, lost_seconds=_LOST_SECONDS)
    if names:
        log.info("workers forgotten", workers=names)
    return UpkeepOutcome(workers=len(names))
