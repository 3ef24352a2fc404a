"""How a worker comes to its deliveries: one call that looks, and one that waits."""

import asyncio
import hashlib
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import structlog
from arq.constants import job_key_prefix
from redis.exceptions import NoScriptError

from service.errors import BrokerUnavailableError
from service.queue.broker import Broker
from service.queue.cancelling import cancel_all
from service.queue.delivery import FIRST_SCORE, Delivery, parking_place
from service.queue.waiting import BLOCK_SECONDS

ASIDE = "data20:deferred"
"""Where deliveries wait whose time has not come, by the moment at which it will."""

MOST_AT_ONCE = 100
"""Deliveries taken by one call; a larger one holds the server for milliseconds."""

_SCRIPT = Path(__file__).with_name("take.lua").read_text()
_SCRIPT_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()

_SPOILT_SECONDS = 1.0
"""How often we look whether a key that held something else holds a queue again."""

_UNBLOCK_SECONDS = 0.05
"""Between two tries to end a call that may not have reached the server yet."""

log = structlog.stdlib.get_logger(__name__)

_Popped = tuple[bytes, Sequence[tuple[bytes, bytes]]]
"""A place, and the ids and scores of what was taken from it."""


class Intake:
    """Takes deliveries for one worker, on a connection that nobody else uses.

    It takes from *queues*, and from where others put what they did not know how to run if it is
    one of *functions*. A delivery that another program deferred (`enqueue_job(..., _defer_by=60)`)
    lies in its queue with a moment for a score; it is set aside, in Redis, until then. Whoever set
    it aside puts it back in time; should that worker be gone, any other one does when it next
    looks, which an idle one does after each *block_seconds*.

    Not to be called twice at a time. Raises BrokerUnavailableError; what was being taken then is
    either still there or lost, as when a worker dies: the dispatcher delivers it again.
    """

    def __init__(
        self,
        broker: Broker,
        queues: Sequence[str],
        functions: Iterable[str],
        *,
        block_seconds: float = BLOCK_SECONDS,
    ) -> None:
        known = sorted(functions)
        self._broker = broker
        self._places = {
            queue: [*(parking_place(queue, each) for each in known), queue] for queue in queues
        }
        self._queues = {place: queue for queue, all_ in self._places.items() for place in all_}
        self._block_seconds = block_seconds
        self._connection = broker.waiting_connection(
            answer_within=block_seconds + BLOCK_SECONDS, block_seconds=block_seconds
        )
        self._spoilt: set[str] = set()
        self._may_have_more = True
        self._due_at: float | None = None

    @property
    def seconds_to_due(self) -> float | None:
        """Seconds until `look` must be called for what was set aside; `None` when nothing was."""
        if self._due_at is None:
            return None
        return max(0.0, self._due_at - asyncio.get_running_loop().time())

    async def take(self, rooms: Mapping[str, int], interrupted: asyncio.Event) -> list[Delivery]:
        """Return what is there; if nothing is, what comes soon; nothing when nothing does.

        *rooms* says how many may be taken of a queue and those after it together. The wait ends
        early when *interrupted* is set, and loses nothing by that.
        """
        if self._may_have_more:
            found = await self.look(rooms)
            if found:
                return found
        popped = await self._wait(rooms, interrupted)
        if popped is None:
            # As good a moment as any to see what others have set aside.
            await self.look({})
            self._may_have_more = bool(self._spoilt)
            return []
        return await self._look(rooms, popped)

    async def look(self, rooms: Mapping[str, int]) -> list[Delivery]:
        """Return what is there, and put back what is due by now."""
        return await self._look(rooms)

    async def pause_after_failure(self) -> None:
        """Wait a little before the next try; then look, for nobody has rung meanwhile."""
        self._may_have_more = True
        await self._connection.pause_after_failure()

    async def close(self) -> None:
        """Drop the connection."""
        await self._connection.close()

    async def _wait(self, rooms: Mapping[str, int], interrupted: asyncio.Event) -> _Popped | None:
        places = [each for each in self._places_of(rooms) if each not in self._spoilt]
        if not places:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SPOILT_SECONDS):
                    await interrupted.wait()
            return None
        # Whichever of them answers, its room is not exceeded.
        most = min(MOST_AT_ONCE, *rooms.values())
        seconds = self._wait_seconds()
        return await self._until_interrupted(
            self._connection.call(
                lambda redis: redis.bzmpop(seconds, len(places), places, min=True, count=most)
            ),
            interrupted,
        )

    def _wait_seconds(self) -> float:
        seconds = _SPOILT_SECONDS if self._spoilt else self._block_seconds
        due = self.seconds_to_due
        # Zero would be for ever.
        return seconds if due is None else max(0.001, min(seconds, due))

    async def _until_interrupted(
        self, call: Coroutine[Any, Any, _Popped | None], interrupted: asyncio.Event
    ) -> _Popped | None:
        """End a blocking call from another connection: a cancelled one may have popped already."""
        blocked = asyncio.ensure_future(call)
        interruption = asyncio.ensure_future(interrupted.wait())
        try:
            await asyncio.wait({blocked, interruption}, return_when=asyncio.FIRST_COMPLETED)
            while not blocked.done():
                with suppress(BrokerUnavailableError):
                    await self._broker.unblock(self._connection.client_id)
                await asyncio.wait({blocked}, timeout=_UNBLOCK_SECONDS)
                if self._broker.is_away and not blocked.done():
                    raise BrokerUnavailableError("Redis does not answer on another connection")
            return await blocked
        finally:
            await cancel_all((blocked, interruption))

    async def _look(
        self, rooms: Mapping[str, int], popped: _Popped | None = None
    ) -> list[Delivery]:
        places = self._places_of(rooms)
        left, opened = dict(rooms), []
        if popped is not None:
            name, entries = popped
            place = name.decode()
            # Places are counted from 1 there, and the first key is none.
            opened = [places.index(place) + 2, *chain.from_iterable(entries)]
            for queue in left:
                left[queue] -= len(entries)
                if queue == self._queues[place]:
                    break
        allowed = (left[self._queues[place]] for place in places)
        arguments = (job_key_prefix, FIRST_SCORE, MOST_AT_ONCE, *allowed, *opened)
        due, may_have_more, spoilt, taken = await self._connection.call(
            lambda redis: _evaluate(redis, (ASIDE, *places), arguments)
        )
        self._may_have_more = bool(may_have_more)
        now = asyncio.get_running_loop().time()
        self._due_at = None if due < 0 else now + due / 1000
        self._note_spoilt((ASIDE, *places), {each.decode() for each in spoilt})
        return [each for each in map(self._read, taken) if each is not None]

    def _read(self, entry: tuple[bytes, bytes, bytes, bytes | None]) -> Delivery | None:
        place, name, score, payload = entry
        queue, delivery_id = self._queues[place.decode()], name.decode(errors="backslashreplace")
        if payload is None:
            log.warning("delivery without content", delivery=delivery_id, queue=queue)
            return None
        return Delivery(delivery_id, queue, float(score), payload)

    def _note_spoilt(self, asked: Sequence[str], spoilt: set[str]) -> None:
        for place in sorted(spoilt - self._spoilt):
            log.error("no queue under its key", key=place)
        self._spoilt = self._spoilt.difference(asked) | spoilt

    def _places_of(self, queues: Iterable[str]) -> list[str]:
        return [place for queue in queues for place in self._places[queue]]


async def _evaluate(redis: Any, keys: Sequence[str], arguments: Sequence[Any]) -> Any:  # noqa: ANN401  # redis-py leaves its results unknown.
    try:
        return await redis.evalsha(_SCRIPT_SHA, len(keys), *keys, *arguments)
    except NoScriptError:  # A server that has started, or forgotten its scripts, since.
        return await redis.eval(_SCRIPT, len(keys), *keys, *arguments)
