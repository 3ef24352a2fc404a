"""How many rows the next statement may touch, so that none takes long. Pure."""


class Pace:
    """A number that follows the time the last statement took."""

    def __init__(self, first: int, *, most: int, aim_seconds: float) -> None:
        self.rows = first
        self.longest_seconds = 0.0
        """What the slowest statement took, its commit and its way included."""
        self._most = most
        self._aim_seconds = aim_seconds

    def took(self, seconds: float) -> None:
        """Note that a statement on `rows` rows took so long: at most twice as many come next."""
        self.longest_seconds = max(self.longest_seconds, seconds)
        factor = min(2.0, self._aim_seconds / max(seconds, 1e-6))
        self.rows = min(self._most, max(1, int(self.rows * factor)))
