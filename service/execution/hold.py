"""Until when this process may keep tools running: as long as its lease surely holds."""

import time
from collections.abc import Callable

NANOSECONDS = 1_000_000_000


def boot_nanoseconds() -> int:
    """Read the clock that a lease is counted on here; it goes on while the host sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Hold:
    """The moment at which every tool of this process must be gone, pushed on again and again.

    Each running tool's keeper is told the moment, and acts on it although this process may be
    stopped by then. Belongs to the event loop's thread.
    """

    def __init__(self) -> None:
        self._until: int | None = None
        self._listeners: set[Callable[[int], None]] = set()

    @property
    def until(self) -> int | None:
        """The moment, of `boot_nanoseconds`; None before a first one is known: then no end."""
        return self._until

    def push_on(self, until: int) -> None:
        """Tell every running tool's keeper that the moment is *until*."""
        self._until = until
        for listener in tuple(self._listeners):
            listener(until)

    def listen(self, listener: Callable[[int], None]) -> None:
        """Call *listener* with each new moment, and now if there is one."""
        self._listeners.add(listener)
        if self._until is not None:
            listener(self._until)

    def forget(self, listener: Callable[[int], None]) -> None:
        """Call *listener* no more."""
        self._listeners.discard(listener)
