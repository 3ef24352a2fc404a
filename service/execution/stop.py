"""The wish that a running tool ends, and how urgent it is."""

from collections.abc import Callable
from enum import IntEnum


class StopKind(IntEnum):
    """Why and how a tool is to end; of two wishes the higher one counts."""

    RELEASE = 1
    """The worker is shutting down: SIGTERM, the grace, then the tree is killed."""
    CANCEL = 2
    """Somebody cancelled the job: SIGTERM, the grace, then the tree is killed."""
    TERMINATE = 3
    """Somebody cancelled the job and will not wait: the tree is killed at once."""


class Stop:
    """Handed to a run; whoever holds it may ask that the run ends.

    May be asked before the start, while the tool runs and after its end, as often as one likes.
    A wish only grows: CANCEL after TERMINATE changes nothing. Belongs to the event loop's thread.
    """

    def __init__(self) -> None:
        self._kind: StopKind | None = None
        self._listener: Callable[[], None] | None = None

    @property
    def kind(self) -> StopKind | None:
        """The most urgent wish so far; None when there is none."""
        return self._kind

    def request(self, kind: StopKind) -> None:
        """Ask that the run ends as *kind* says."""
        if self._kind is None or kind > self._kind:
            self._kind = kind
            if self._listener is not None:
                self._listener()

    def on_request(self, listener: Callable[[], None]) -> None:
        """Call *listener* whenever the wish grows, now if there is one; for the run alone."""
        self._listener = listener
        if self._kind is not None:
            listener()
