"""Who gets a free slot, as a calculation."""

from itertools import pairwise

import pytest

from service.config import QUEUES
from service.queue.slots import Slots

FAIR_SECONDS = 30.0


def make_slots(count: int, queues: tuple[str, ...] = QUEUES) -> Slots:
    return Slots(queues, count, fair_seconds=FAIR_SECONDS, now=0.0)


@pytest.mark.parametrize(
    ("count", "rooms"),
    [(1, [1, 1, 1]), (2, [2, 1, 1]), (3, [3, 1, 1]), (4, [4, 2, 1]), (10, [10, 5, 2])],
)
def test_half_the_slots_are_the_first_queues_alone(count: int, rooms: list[int]) -> None:
    assert make_slots(count).rooms() == dict(zip(QUEUES, rooms, strict=True))


def test_of_two_queues_the_second_has_half() -> None:
    assert make_slots(8, ("default", "maintenance")).rooms() == {"default": 8, "maintenance": 4}


def test_what_a_lower_queue_holds_counts_for_those_above_it() -> None:
    slots = make_slots(10)
    for queue in ("maintenance", "maintenance", "default"):
        slots.hold(queue)
    assert slots.rooms() == {"tools": 7, "default": 2}
    slots.hold("default")
    slots.hold("default")
    assert slots.rooms() == {"tools": 5}
    slots.release("maintenance")
    assert slots.rooms() == {"tools": 6, "default": 1, "maintenance": 1}


def test_a_full_worker_has_room_for_nothing() -> None:
    slots = make_slots(2)
    slots.hold("tools")
    slots.hold("tools")
    assert slots.rooms() == {}


def test_a_queue_that_goes_unasked_has_a_turn_for_one_delivery() -> None:
    slots = make_slots(4)
    slots.note(slots.rooms(), ["tools"] * 4, now=1.0)
    assert slots.turn(FAIR_SECONDS) == {}
    assert slots.turn(FAIR_SECONDS + 1) == {"default": 1}


def test_a_queue_that_was_asked_in_order_has_no_turn() -> None:
    """Though it had nothing to give."""
    slots = make_slots(4)
    slots.note(slots.rooms(), ["tools"] * 3, now=FAIR_SECONDS)
    assert slots.turn(FAIR_SECONDS + 1) == {}
    slots.note(slots.rooms(), ["tools"] * 3 + ["default"], now=FAIR_SECONDS * 2 + 1)
    assert slots.turn(FAIR_SECONDS * 2 + 2) == {"maintenance": 1}


def test_a_queue_that_holds_all_it_may_has_no_turn() -> None:
    slots = make_slots(4)
    slots.hold("default")
    slots.hold("default")
    assert slots.turn(FAIR_SECONDS * 2) == {}


@pytest.mark.parametrize("job_seconds", [0.1, 1.0, 60.0])
def test_with_one_slot_and_everything_waiting_nobody_starves(job_seconds: float) -> None:
    """The first queue has at least every second slot; each other one is served again and again."""
    slots, now = make_slots(1), 0.0
    served: list[tuple[float, str]] = []
    while now < 100 * max(job_seconds, 10):
        rooms = slots.turn(now) or slots.rooms()
        queue = next(iter(rooms))
        slots.note(rooms, [queue], now)
        served.append((now, queue))
        now += job_seconds
    for (_, one), (_, next_one) in pairwise(served):
        assert "tools" in {one, next_one}
    for queue in QUEUES[1:]:
        moments = [0.0, *(at for at, each in served if each == queue)]
        assert len(moments) > 10
        # Its own wait, then at most the job before, the other queue's turn and one between.
        assert max(b - a for a, b in pairwise(moments)) <= FAIR_SECONDS + 4 * job_seconds
