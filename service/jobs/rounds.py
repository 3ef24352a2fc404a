"""Chores that come round again and again: the clock, kept apart from what is done."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from service.errors import BrokerUnavailableError, StoreUnavailableError

log = structlog.stdlib.get_logger(__name__)

_T = TypeVar("_T")

_LEAST_PAUSE_SECONDS = 0.05
"""Between two rounds of a chore that is woken: however much falls due, it is done in batches."""


async def every(seconds: float, chore: Callable[[], Awaitable[object]], *, name: str) -> None:
    """Do *chore* now and every *seconds*, until cancelled; a round that fails spoils no other."""
    while True:
        await _one_round(chore, name)
        await asyncio.sleep(seconds)


class Alarm:
    """When the next round of a chore is: it can be brought forward, never put off."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._brought_forward = asyncio.Event()

    def ring_in(self, seconds: float) -> None:
        """Have a round in *seconds* at the latest."""
        at = asyncio.get_running_loop().time() + seconds
        if self._at is None or at < self._at:
            self._at = at
            self._brought_forward.set()

    async def wait(self) -> None:
        """Return when it rings; then it is set no more."""
        clock = asyncio.get_running_loop().time
        while self._at is None or self._at > clock():
            self._brought_forward.clear()
            left = None if self._at is None else self._at - clock()
            try:
                async with asyncio.timeout(left):
                    await self._brought_forward.wait()
            except TimeoutError:
                break
        self._at = None


async def when_due(
    alarm: Alarm, most_seconds: float, chore: Callable[[], Awaitable[float | None]], *, name: str
) -> None:
    """Do *chore* now and each time *alarm* rings, at least every *most_seconds*, until cancelled.

    The chore returns in how many seconds it has something to do again, as far as it knows.
    """
    while True:
        next_in = await _one_round(chore, name)
        await asyncio.sleep(min(_LEAST_PAUSE_SECONDS, most_seconds))
        alarm.ring_in(most_seconds if next_in is None else max(0.0, min(next_in, most_seconds)))
        await alarm.wait()


async def _one_round(chore: Callable[[], Awaitable[_T]], name: str) -> _T | None:
    """Return what *chore* does, or `None` when it fails."""
    try:
        return await chore()
    except (StoreUnavailableError, BrokerUnavailableError) as error:
        log.warning("round put off", chore=name, reason=str(error))
    except Exception:
        log.exception("round failed", chore=name)
    return None
