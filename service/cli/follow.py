"""What a job says, as it says it: every line once and in order, across restarts of the API."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from service.cli.answers import LogsJson
from service.cli.client import MOST_LINES, ApiClient
from service.errors import ApiUnreachableError, RefusedError

_Answer = TypeVar("_Answer")

_PAUSE_SECONDS = 0.2
PATIENCE_SECONDS = 30.0
"""How long an API that does not answer is asked again."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line a tool printed."""

    stream: str
    """`stdout` or `stderr`."""
    text: str


@dataclass(frozen=True, slots=True)
class Update:
    """What is new with a job."""

    status: str
    progress: float | None
    """Percent; None while the tool has not said."""
    progress_message: str | None
    lines: tuple[Line, ...]
    """Those printed since the update before."""


async def follow(
    client: ApiClient, job_id: str, *, note: Callable[[str], None]
) -> AsyncGenerator[Update]:
    """Yield what is new with the job until it has ended and every line was told.

    *note* is told when the API stops answering. Raises ApiUnreachableError and RefusedError when
    that lasts longer than PATIENCE_SECONDS.
    """
    after = 0
    while True:
        logs = await patiently(partial(client.logs, job_id, after=after), note)
        after = logs["next_after"]
        yield _update(logs)
        if logs["is_complete"]:
            return
        if len(logs["lines"]) < MOST_LINES:
            await asyncio.sleep(_PAUSE_SECONDS)


async def read_so_far(client: ApiClient, job_id: str) -> AsyncGenerator[Update]:
    """Yield what the job has printed until now, and where it is."""
    after = 0
    while True:
        logs = await client.logs(job_id, after=after)
        after = logs["next_after"]
        yield _update(logs)
        if len(logs["lines"]) < MOST_LINES:
            return


async def patiently(ask: Callable[[], Awaitable[_Answer]], note: Callable[[str], None]) -> _Answer:
    """Return what *ask* gives, asking again while the API is away; *note* is told that once."""
    loop = asyncio.get_running_loop()
    gives_up_at: float | None = None
    while True:
        try:
            return await ask()
        except (ApiUnreachableError, RefusedError) as error:
            if isinstance(error, RefusedError) and not error.is_passing:
                raise
            if gives_up_at is None:
                gives_up_at = loop.time() + PATIENCE_SECONDS
                note(f"{error}; asking again for {PATIENCE_SECONDS:g} s")
            elif loop.time() > gives_up_at:
                raise
        await asyncio.sleep(_PAUSE_SECONDS)


def _update(logs: LogsJson) -> Update:
    return Update(
        status=logs["status"],
        progress=logs["progress"],
        progress_message=logs["progress_message"],
        lines=tuple(Line(line["stream"], line["text"]) for line in logs["lines"]),
    )
