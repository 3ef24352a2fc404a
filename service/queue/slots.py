"""Who gets a worker's free slots: order among its queues, caps below the first, turns."""

from collections import Counter
from collections.abc import Iterable, Sequence


class Slots:
    """The slots of one worker, and which of its queues may have those that are free.

    *Order*: a free slot goes to the first queue in which something waits.

    *Caps*: of N slots all queues but the first hold at most N // 2 together, all but the first two
    N // 4, and so on, but never less than one. So half the slots are the first queue's alone.

    *Turns*: a queue below the first that was not asked for *fair_seconds*, because those above it
    took every slot, is asked before them, for one delivery. After such a turn comes one in order,
    so that even with one slot and long jobs the first queue has every second one.
    """

    def __init__(
        self, queues: Sequence[str], count: int, *, fair_seconds: float, now: float
    ) -> None:
        self._queues = tuple(queues)
        self._count = count
        self._fair_seconds = fair_seconds
        self._asked_at = dict.fromkeys(self._queues, now)
        self._held: Counter[str] = Counter()
        self._is_in_order = True

    @property
    def free(self) -> int:
        """How many are free."""
        return self._count - self._held.total()

    def hold(self, queue: str) -> None:
        """Give a slot to a delivery of *queue*."""
        self._held[queue] += 1

    def release(self, queue: str) -> None:
        """Take that slot back."""
        self._held[queue] -= 1

    def rooms(self) -> dict[str, int]:
        """Return how many deliveries may be taken of each queue and all below it together.

        In the order in which they are to be asked; a queue without room is left out.
        """
        rooms: dict[str, int] = {}
        room = self.free
        for level, queue in enumerate(self._queues):
            held = sum(self._held[each] for each in self._queues[level:])
            room = min(room, max(self._count >> level, 1) - held)
            if room <= 0:
                break
            rooms[queue] = room
        return rooms

    def turn(self, now: float) -> dict[str, int]:
        """Return the room of the one queue whose turn it is; nothing when it is nobody's."""
        starved = [
            queue
            for queue in list(self.rooms())[1:]
            if now - self._asked_at[queue] > self._fair_seconds
        ]
        if not starved or not self._is_in_order:
            return {}
        return {min(starved, key=self._asked_at.__getitem__): 1}

    def note(self, rooms: dict[str, int], taken: Iterable[str], now: float) -> None:
        """Remember who was asked: *rooms*, and the queues of the deliveries that were there."""
        counts = Counter(taken)
        left = self._count
        self._is_in_order = self._queues[0] in rooms
        for queue, room in rooms.items():
            left = min(left, room)
            if left <= 0:
                break
            self._asked_at[queue] = now
            left -= counts[queue]
