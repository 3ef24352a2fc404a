"""One trip to a store for all who ask the same of it at the same moment."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeAlias, TypeVar

_Ask = TypeVar("_Ask")
_Answer = TypeVar("_Answer")
_Waiting: TypeAlias = tuple[_Ask, asyncio.Future[_Answer]]

MOST_JOINED = 100
"""Asked for in one trip; what it locks, it locks until its end."""

PROMPT_SECONDS = 0.05
"""A trip that takes longer no longer keeps others from setting out."""

_MOST_UNDER_WAY = 4


class Joining(Generic[_Ask, _Answer]):
    """Joins what is asked for while a trip is under way into the next one.

    Nobody waits for company: who asks while none is under way sets out at once, together with
    those who ask in the same turn of the event loop. *act* gives an answer for each ask, in order.
    When a trip fails that several had joined, each goes again alone: what one of them asked for,
    or a row that somebody else has locked, must not fail the others.
    """

    def __init__(self, act: Callable[[Sequence[_Ask]], Awaitable[Sequence[_Answer]]]) -> None:
        self._act = act
        self._waiting: deque[_Waiting[_Ask, _Answer]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._prompt: asyncio.Task[None] | None = None
        """The trip that is not known to be slow."""

    async def ask(self, what: _Ask) -> _Answer:
        """Return the answer to this ask, or raise what it alone has met with."""
        answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((what, answer))
        self._set_out()
        return await answer

    async def settle(self) -> None:
        """Return when nothing is under way, not even for somebody who waits no longer."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _set_out(self) -> None:
        if self._waiting and self._prompt is None and len(self._under_way) < _MOST_UNDER_WAY:
            trip = self._prompt = asyncio.create_task(self._travel())
            self._under_way.add(trip)
            trip.add_done_callback(self._arrive)

    def _arrive(self, trip: asyncio.Task[None]) -> None:
        self._under_way.discard(trip)
        self._give_way(trip)

    def _give_way(self, trip: asyncio.Task[None] | None) -> None:
        if self._prompt is trip:
            self._prompt = None
        self._set_out()

    async def _travel(self) -> None:
        joined = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_JOINED))]
        loop = asyncio.get_running_loop()
        slow = loop.call_later(PROMPT_SECONDS, self._give_way, asyncio.current_task())
        try:
            await self._answer([each for each in joined if not each[1].done()])
        finally:
            slow.cancel()
            for _, answer in joined:
                answer.cancel()  # Only of a trip that was cancelled is any still awaited.

    async def _answer(self, joined: Sequence[_Waiting[_Ask, _Answer]]) -> None:
        if not joined:
            return  # Those who asked wait no longer.
        try:
            answers = await self._act([what for what, _ in joined])
            answered = list(zip(joined, answers, strict=True))
        except Exception as error:  # noqa: BLE001  # It is raised again, where it was asked for.
            if len(joined) > 1:
                await asyncio.gather(*(self._answer([each]) for each in joined))
            elif not joined[0][1].done():
                joined[0][1].set_exception(error)
            return
        for (_, answer), given in answered:
            if not answer.done():
                answer.set_result(given)
