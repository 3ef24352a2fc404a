"""When a queue counts as deserted."""

from service.jobs.attendance import Attendance


class Clock:
    """Time as the test says it is."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def test_a_queue_that_nobody_serves_is_deserted_after_a_while() -> None:
    clock = Clock()
    attendance = Attendance(("a", "b"), 3.0, clock=clock)
    assert attendance.saw({"a"}) == frozenset()
    clock.now += 2.9
    assert attendance.saw({"a"}) == frozenset()
    clock.now += 0.1
    assert attendance.saw({"a"}) == {"b"}
    clock.now += 60
    assert attendance.saw({"a"}) == {"b"}


def test_a_worker_that_is_restarted_leaves_nothing_deserted() -> None:
    clock = Clock()
    attendance = Attendance(("a",), 3.0, clock=clock)
    for _ in range(5):
        clock.now += 2.0
        assert attendance.saw(()) == frozenset()
        clock.now += 2.0
        assert attendance.saw(("a",)) == frozenset()


def test_a_queue_that_is_served_again_is_deserted_no_more() -> None:
    clock = Clock()
    attendance = Attendance(("a",), 0.0, clock=clock)
    assert attendance.saw(()) == {"a"}
    assert attendance.saw({"a"}) == frozenset()
    assert attendance.saw(()) == {"a"}
