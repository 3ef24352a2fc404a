import pytest

from service.execution.stop import Stop, StopKind


def test_nothing_is_wished_at_first() -> None:
    assert Stop().kind is None


@pytest.mark.parametrize("first", list(StopKind))
@pytest.mark.parametrize("second", list(StopKind))
def test_of_two_wishes_the_more_urgent_counts(first: StopKind, second: StopKind) -> None:
    stop = Stop()

    stop.request(first)
    stop.request(second)

    assert stop.kind is max(first, second)


def test_a_listener_hears_each_time_the_wish_grows() -> None:
    stop, heard = Stop(), list[StopKind | None]()
    stop.on_request(lambda: heard.append(stop.kind))

    for kind in (StopKind.CANCEL, StopKind.RELEASE, StopKind.CANCEL, StopKind.TERMINATE):
        stop.request(kind)

    assert heard == [StopKind.CANCEL, StopKind.TERMINATE]


def test_a_listener_that_comes_late_hears_at_once() -> None:
    stop, heard = Stop(), list[StopKind | None]()
    stop.request(StopKind.CANCEL)

    stop.on_request(lambda: heard.append(stop.kind))

    assert heard == [StopKind.CANCEL]
