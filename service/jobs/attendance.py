"""Which queues nobody serves. Pure but for its clock."""

import time
from collections.abc import Callable, Collection


class Attendance:
    """Who was seen to be served when, look by look.

    A worker that is restarted leaves its queues for a moment. Only one that stayed unserved for
    *after_seconds* counts as deserted.
    """

    def __init__(
        self,
        queues: Collection[str],
        after_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._after_seconds = after_seconds
        self._clock = clock
        self._last_seen_at = dict.fromkeys(queues, clock())

    def saw(self, served: Collection[str]) -> frozenset[str]:
        """Note which queues are served now, and return those that are deserted."""
        now = self._clock()
        self._last_seen_at |= {queue: now for queue in self._last_seen_at if queue in served}
        return frozenset(
            queue
            for queue, seen_at in self._last_seen_at.items()
            if queue not in served and now - seen_at >= self._after_seconds
        )
