"""Whether a worker has renewed its lease regularly of late, and so may judge others by theirs."""

from collections.abc import Callable

from service.execution.hold import NANOSECONDS, boot_nanoseconds


def _boot_seconds() -> float:
    return boot_nanoseconds() / NANOSECONDS


class Regularity:
    """Counts the time since which no renewal was late.

    After a gap of its own, such as a suspended host, a cut network or a frozen database, a worker
    cannot tell whose lease ran out because its owner is gone: everybody's may have. It waits for
    one lease, in which the living renew theirs; so it does after each connection that broke, for it
    may be that everybody's did. The clock is one that goes on while the host
    sleeps.
    """

    def __init__(self, lease_seconds: float, *, clock: Callable[[], float] = _boot_seconds) -> None:
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._renewed_at = self._since = clock()

    def miss_if_late(self) -> None:
        """Begin to count anew when the last renewal is longer ago than a lease."""
        if self._clock() - self._renewed_at > self._lease_seconds:
            self.break_off()

    def break_off(self) -> None:
        """Begin to count anew."""
        self._since = self._clock()

    def renewed(self) -> None:
        """Note a renewal."""
        self._renewed_at = self._clock()

    @property
    def is_given(self) -> bool:
        """True when renewals have been regular for a whole lease."""
        self.miss_if_late()
        return self._clock() - self._since >= self._lease_seconds
