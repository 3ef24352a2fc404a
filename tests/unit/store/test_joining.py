"""Whoever asks while a trip is under way joins the next one."""

import asyncio
from collections.abc import Sequence

import pytest

from service.store.joining import MOST_JOINED, PROMPT_SECONDS, Joining
from tests.waiting import until


class _Store:
    """Answers each number with its double, as soon as its gate is open; counts its trips."""

    def __init__(self) -> None:
        self.trips: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.refuses: set[int] = set()

    async def double(self, asked: Sequence[int]) -> list[int]:
        self.trips.append(list(asked))
        if not self.refuses.isdisjoint(asked):
            raise ValueError(f"refused: {asked}")
        await self.gate.wait()
        return [2 * each for each in asked]


async def test_who_asks_alone_is_answered_by_a_trip_of_its_own() -> None:
    store = _Store()
    joining = Joining(store.double)
    assert [await joining.ask(1), await joining.ask(2)] == [2, 4]
    assert store.trips == [[1], [2]]


async def test_who_asks_at_the_same_moment_goes_together() -> None:
    store = _Store()
    joining = Joining(store.double)
    assert await asyncio.gather(*map(joining.ask, range(5))) == [0, 2, 4, 6, 8]
    assert store.trips == [[0, 1, 2, 3, 4]]


async def test_who_comes_during_a_trip_joins_the_next() -> None:
    store = _Store()
    joining = Joining(store.double)
    store.gate.clear()
    first = asyncio.create_task(joining.ask(1))
    await until(lambda: store.trips, what="the first trip")
    others = [asyncio.create_task(joining.ask(each)) for each in (2, 3)]
    await asyncio.sleep(0)
    assert store.trips == [[1]]
    store.gate.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6]
    assert store.trips == [[1], [2, 3]]


async def test_a_crowd_goes_in_several_trips() -> None:
    store = _Store()
    asked = range(2 * MOST_JOINED + 1)
    assert await asyncio.gather(*map(Joining(store.double).ask, asked)) == [2 * n for n in asked]
    assert [len(trip) for trip in store.trips] == [MOST_JOINED, MOST_JOINED, 1]


async def test_one_that_is_refused_fails_alone() -> None:
    """The others of its trip are answered; the error reaches the one it belongs to."""
    store = _Store()
    store.refuses = {2}
    asks = map(Joining(store.double).ask, (1, 2, 3))
    one, two, three = await asyncio.gather(*asks, return_exceptions=True)
    assert (one, three) == (2, 6)
    assert str(two) == "refused: [2]"


async def test_what_befalls_all_reaches_all() -> None:
    store = _Store()
    store.refuses = {1, 2, 3}
    asks = map(Joining(store.double).ask, (1, 2, 3))
    errors = await asyncio.gather(*asks, return_exceptions=True)
    assert [str(error) for error in errors] == ["refused: [1]", "refused: [2]", "refused: [3]"]


async def test_a_slow_trip_does_not_keep_others_from_setting_out() -> None:
    """Those who wait behind it go without it after a moment, though it never comes back."""
    store = _Store()
    joining = Joining(store.double)
    store.gate.clear()
    slow = asyncio.create_task(joining.ask(1))
    await until(lambda: store.trips, what="the slow trip")
    store.gate = asyncio.Event()
    store.gate.set()
    began = asyncio.get_running_loop().time()
    assert await asyncio.wait_for(joining.ask(2), 10) == 4
    assert asyncio.get_running_loop().time() - began >= PROMPT_SECONDS / 2
    assert not slow.done()
    slow.cancel()


async def test_who_waits_no_longer_is_not_asked_for() -> None:
    """Nothing is claimed for somebody who has gone before the trip set out."""
    store = _Store()
    joining = Joining(store.double)
    store.gate.clear()
    first = asyncio.create_task(joining.ask(1))
    await until(lambda: store.trips, what="the first trip")
    gone, stays = (asyncio.create_task(joining.ask(each)) for each in (2, 3))
    await asyncio.sleep(0)
    gone.cancel()
    store.gate.set()
    assert await asyncio.gather(first, stays) == [2, 6]
    assert store.trips == [[1], [3]]


async def test_one_who_leaves_during_a_trip_takes_nobody_along() -> None:
    store = _Store()
    joining = Joining(store.double)
    store.gate.clear()
    gone, stays = (asyncio.create_task(joining.ask(each)) for each in (1, 2))
    await until(lambda: store.trips, what="the trip")
    gone.cancel()
    store.gate.set()
    assert await stays == 4
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_settling_waits_for_what_is_under_way() -> None:
    store = _Store()
    joining = Joining(store.double)
    store.gate.clear()
    asked = asyncio.create_task(joining.ask(1))
    await until(lambda: store.trips, what="the trip")
    settling = asyncio.create_task(joining.settle())
    await asyncio.sleep(0)
    assert not settling.done()
    store.gate.set()
    await settling
    assert await asked == 2
