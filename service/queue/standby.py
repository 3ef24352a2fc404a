"""Local execution as those who accept and cancel jobs see it."""

from typing import Protocol

from service.queue.control import Wish


class Standby(Protocol):
    """This process itself, as one who runs jobs while no worker can have them."""

    def takes(self, queue: str) -> bool:
        """Tell whether a job of *queue* is run here, so that no delivery is to be tried."""
        ...

    def wake(self) -> None:
        """Look at once: there is a new job."""
        ...

    def heed(self, wish: Wish) -> None:
        """Stop a job if it runs here, without the way through Redis."""
        ...
