"""Chores that come round again and again: the clock, kept apart from what is done."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from service.errors import BrokerUnavailableError, StoreUnavailableError

log = structlog.stdlib.get_logger(__name__)


async def every(seconds: float, chore: Callable[[], Awaitable[object]], *, name: str) -> None:
    """Do *chore* now and every *seconds*, until cancelled; a round that fails spoils no other."""
    while True:
        try:
            await chore()
        except (StoreUnavailableError, BrokerUnavailableError) as error:
            log.warning("round put off", chore=name, reason=str(error))
        except Exception:
            log.exception("round failed", chore=name)
        await asyncio.sleep(seconds)
