"""Ending tasks that talk to Redis, whatever becomes of their cancellation."""

import asyncio
from collections.abc import Iterable
from typing import Any

_PATIENCE_SECONDS = 0.5


async def cancel_all(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel *tasks* and return when every one has ended; what they raise is dropped.

    Up to Python 3.11 `asyncio.wait_for`, with which redis-py sends, swallows a cancellation that
    comes in the moment in which its inner task is done (CPython issue 81839). So one is not enough.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_PATIENCE_SECONDS)
