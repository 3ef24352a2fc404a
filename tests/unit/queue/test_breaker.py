"""Who waits for a server that does not answer, and who is told at once."""

from service.queue.breaker import Breaker


class Clock:
    """Time as the test says it is."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def broken() -> tuple[Breaker, Clock]:
    clock = Clock()
    breaker = Breaker(trial_seconds=2.0, clock=clock)
    breaker.failed()
    return breaker, clock


def test_all_may_go_while_nothing_has_failed() -> None:
    breaker = Breaker()
    assert [breaker.admits() for _ in range(3)] == [True, True, True]
    assert not breaker.is_open


def test_after_a_failure_nobody_waits() -> None:
    breaker, clock = broken()
    clock.now += 1.9
    assert breaker.is_open
    assert [breaker.admits() for _ in range(3)] == [False, False, False]


def test_one_may_try_each_time() -> None:
    breaker, clock = broken()
    for _ in range(3):
        clock.now += 2.0
        assert [breaker.admits() for _ in range(3)] == [True, False, False]
        assert breaker.is_open


def test_a_failure_puts_the_next_trial_off() -> None:
    breaker, clock = broken()
    clock.now += 1.9
    breaker.failed()
    clock.now += 0.2
    assert not breaker.admits()


def test_who_asked_hears_of_the_first_failure() -> None:
    opened: list[bool] = []
    breaker = Breaker()
    breaker.on_open(lambda: opened.append(breaker.is_open))
    breaker.failed()
    breaker.failed()
    assert opened == [True]
    breaker.succeeded()
    breaker.failed()
    assert opened == [True, True]


def test_a_success_lets_all_go_again() -> None:
    breaker, _ = broken()
    breaker.succeeded()
    assert [breaker.admits() for _ in range(3)] == [True, True, True]
    assert not breaker.is_open
