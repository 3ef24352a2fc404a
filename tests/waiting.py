"""Waiting for what must come true, never for time to pass."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar, cast

T = TypeVar("T")

PAUSE_SECONDS = 0.01


async def until(condition: Callable[[], T | Awaitable[T]], *, what: str, within: float = 10.0) -> T:
    """Return what *condition* returns as soon as that is true; it may be a coroutine function.

    Raises AssertionError naming *what* when it has not come within *within* seconds.
    """
    deadline = time.monotonic() + within
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await cast("Awaitable[T]", found)
        if found:
            return cast("T", found)
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited {within:g} s in vain for {what}")
        await asyncio.sleep(PAUSE_SECONDS)


@contextmanager
def at_most(seconds: float) -> Generator[None]:
    """Fail when what stands within takes longer."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds
