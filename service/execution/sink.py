"""Where a tool's words go."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a tool's output, without its end."""

    stream: Stream
    text: str
    at: datetime
    """When it was read, in UTC."""


class Sink(Protocol):
    """Takes what a tool says, as it says it.

    The calls come one at a time. While one lasts, what the tool goes on to say waits in its
    pipe, and in the end the tool waits too. An error raised here ends the run, and its tree.
    """

    def ended(self) -> None:
        """Hear that the tool is gone: what comes from now on is the rest of what it has said."""
        ...

    async def log(self, lines: Sequence[LogLine]) -> None:
        """Take the next lines, at least one."""
        ...

    async def progress(self, percent: float | None, message: str | None) -> None:
        """Take how far the tool is, from 0 to 100.

        *percent* is None when it cannot say, *message* when it said nothing with it.
        """
        ...
