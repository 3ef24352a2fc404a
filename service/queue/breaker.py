"""Remembering that a server does not answer, so that not everybody waits to find out."""

import time
from collections.abc import Callable

TRIAL_SECONDS = 0.5
"""How often one call may try a server that did not answer."""


class Breaker:
    """Open after a failure, and then all calls but one each *trial_seconds* are turned away.

    That one is the trial: its success closes the breaker, and every call may go again.
    """

    def __init__(
        self,
        *,
        trial_seconds: float = TRIAL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trial_seconds = trial_seconds
        self._clock = clock
        self._next_trial_at: float | None = None
        self._on_open: Callable[[], None] | None = None

    @property
    def is_open(self) -> bool:
        """True from a failure to the next success."""
        return self._next_trial_at is not None

    def on_open(self, listener: Callable[[], None]) -> None:
        """Call *listener* each time it opens."""
        self._on_open = listener

    def admits(self) -> bool:
        """Tell whether a call may be made now; the one who is told so while it is open tries."""
        if self._next_trial_at is None:
            return True
        if self._clock() < self._next_trial_at:
            return False
        self._next_trial_at = self._clock() + self._trial_seconds
        return True

    def failed(self) -> None:
        """Note that the server did not answer."""
        was_open = self.is_open
        self._next_trial_at = self._clock() + self._trial_seconds
        if not was_open and self._on_open is not None:
            self._on_open()

    def succeeded(self) -> None:
        """Note that it did."""
        self._next_trial_at = None
