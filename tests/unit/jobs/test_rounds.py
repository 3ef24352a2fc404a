"""The alarm of a chore: brought forward by whoever knows of something sooner, never put off."""

import asyncio
import time

from service.jobs.rounds import Alarm, when_due

LONG = 3600.0


async def _rings(alarm: Alarm) -> float:
    """Return how many seconds it took to ring."""
    started = time.monotonic()
    async with asyncio.timeout(10):
        await alarm.wait()
    return time.monotonic() - started


async def test_it_rings_in_time() -> None:
    alarm = Alarm()
    alarm.ring_in(0.1)
    assert 0.09 < await _rings(alarm) < 5


async def test_it_can_be_brought_forward_while_somebody_waits() -> None:
    alarm = Alarm()
    alarm.ring_in(LONG)
    waiting = asyncio.create_task(_rings(alarm))
    await asyncio.sleep(0)
    alarm.ring_in(0.1)
    assert 0.09 < await waiting < 5


async def test_it_cannot_be_put_off() -> None:
    alarm = Alarm()
    alarm.ring_in(0.1)
    alarm.ring_in(LONG)
    assert await _rings(alarm) < 5


async def test_once_it_has_rung_it_is_not_set() -> None:
    alarm = Alarm()
    alarm.ring_in(0)
    await _rings(alarm)
    waiting = asyncio.create_task(alarm.wait())
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert not done
    alarm.ring_in(0)
    await asyncio.wait_for(waiting, 10)


class Chore:
    """A chore that notes each of its rounds, and says when the next one is due."""

    def __init__(self, *next_in: float | Exception | None) -> None:
        self.rounds: list[float] = []
        self._next_in = list(next_in)
        self.is_done = asyncio.Event()

    async def __call__(self) -> float | None:
        """Do a round."""
        self.rounds.append(time.monotonic())
        answer = self._next_in.pop(0) if self._next_in else LONG
        if not self._next_in:
            self.is_done.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


async def _do(chore: Chore, most_seconds: float) -> None:
    task = asyncio.create_task(when_due(Alarm(), most_seconds, chore, name="test"))
    async with asyncio.timeout(10):
        await chore.is_done.wait()
    task.cancel()
    await asyncio.wait({task})


async def test_a_chore_comes_round_when_it_said_it_would() -> None:
    chore = Chore(0.2, 0.0, None)
    await _do(chore, LONG)
    first, second, third = chore.rounds
    assert second - first > 0.19
    assert third - second < 5


async def test_a_chore_comes_round_anyhow() -> None:
    """What it knows of may not be all there is, and a round that fails knows nothing."""
    chore = Chore(None, LONG, ValueError("broken"), None)
    await _do(chore, 0.1)
    assert len(chore.rounds) == 4


async def test_a_chore_with_always_more_to_do_leaves_some_time_between() -> None:
    chore = Chore(*[0.0] * 4)
    await _do(chore, LONG)
    assert chore.rounds[-1] - chore.rounds[0] > 3 * 0.04
