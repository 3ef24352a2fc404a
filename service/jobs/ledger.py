"""The moves that every delivery makes, those of the same moment in one trip to PostgreSQL."""

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

from service.store import jobs
from service.store.database import Database
from service.store.joining import Joining
from service.store.records import Ending, Holder, Job
from service.store.states import Move

_JOINED_ENDS = (Move.COMPLETE, Move.FAIL, Move.RETRY, Move.STOP)


class Ledger:
    """Claims and ends of one process's jobs.

    Each has its own guard and its own answer, as if it had been made alone: the job as it is
    then, or `None` when the guard did not hold. Raises StoreUnavailableError.

    *get_holder* says who claims; it is asked each time, as a worker's name may change.
    """

    def __init__(self, database: Database, get_holder: Callable[[], Holder]) -> None:
        self._database = database
        self._get_holder = get_holder
        self._claims = Joining(self._claim)
        self._ends = {move: Joining(partial(self._end, move)) for move in _JOINED_ENDS}

    async def claim(self, job_id: UUID) -> Job | None:
        """Take a waiting job, as `jobs.claim` does."""
        return await self._claims.ask(job_id)

    async def end(self, move: Move, job: Job, ending: Ending) -> Job | None:
        """End an attempt by *move*; a release needs nothing of the *ending*."""
        if move is Move.RELEASE:
            async with self._database.connect() as connection:
                return await jobs.release(connection, job)
        return await self._ends[move].ask((job, ending))

    async def settle(self) -> None:
        """Return when no move is under way any more."""
        for each in (self._claims, *self._ends.values()):
            await each.settle()

    async def _claim(self, asked: Sequence[UUID]) -> list[Job | None]:
        async with self._database.connect() as connection:
            won = await jobs.claim_many(connection, asked, self._get_holder())
        return _dealt(won, asked)

    async def _end(self, move: Move, asked: Sequence[tuple[Job, Ending]]) -> list[Job | None]:
        async with self._database.connect() as connection:
            done = await jobs.end_many(connection, move, asked)
        return _dealt(done, [job.id for job, _ in asked])


def _dealt(moved: dict[UUID, Job], asked: Sequence[UUID]) -> list[Job | None]:
    """Give each job that moved to one who asked for it, though several may have."""
    return [moved.pop(job_id, None) for job_id in asked]
