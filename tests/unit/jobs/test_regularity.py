from service.jobs.regularity import Regularity

LEASE = 15.0


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def beat(regularity: Regularity, clock: Clock, *, seconds: float, times: int = 1) -> None:
    for _ in range(times):
        clock.now += seconds
        regularity.miss_if_late()
        regularity.renewed()


def test_a_worker_judges_nobody_before_its_own_first_lease_is_over() -> None:
    clock = Clock()
    regularity = Regularity(LEASE, clock=clock)
    beat(regularity, clock, seconds=5, times=2)
    assert not regularity.is_given
    beat(regularity, clock, seconds=5)
    assert regularity.is_given


def test_after_a_gap_the_living_get_one_lease_to_renew_theirs() -> None:
    """A host that slept, a cut network: everybody's lease ran out, and nobody is dead."""
    clock = Clock()
    regularity = Regularity(LEASE, clock=clock)
    beat(regularity, clock, seconds=5, times=10)
    clock.now += 3600
    assert not regularity.is_given
    beat(regularity, clock, seconds=0)
    assert not regularity.is_given
    beat(regularity, clock, seconds=5, times=3)
    assert regularity.is_given


def test_a_heartbeat_that_is_a_little_late_changes_nothing() -> None:
    clock = Clock()
    regularity = Regularity(LEASE, clock=clock)
    beat(regularity, clock, seconds=5, times=3)
    beat(regularity, clock, seconds=14)
    assert regularity.is_given


def test_a_broken_connection_begins_the_count_anew() -> None:
    """Everybody's may have broken: a server whose sessions all end counts its start from before."""
    clock = Clock()
    regularity = Regularity(LEASE, clock=clock)
    beat(regularity, clock, seconds=5, times=10)
    regularity.break_off()
    beat(regularity, clock, seconds=5, times=2)
    assert not regularity.is_given
    beat(regularity, clock, seconds=5)
    assert regularity.is_given
