"""Delete jobs past retention, with their events, results and files, a little at a time."""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog

from service.errors import StoppingError
from service.jobs.context import Context
from service.jobs.pace import Pace
from service.store import cron_runs, retention
from service.store.idempotency import forget_old_keys

log = structlog.stdlib.get_logger(__name__)

_AIM_SECONDS = 0.025
"""What one statement should take. None may hold its locks for 0.1 s, and a machine can stall."""

_ORPHANS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class CleanupOutcome:
    """What was deleted. `events` counts rows; `orphans` jobs whose files had outlived their row."""

    jobs: int
    events: int
    orphans: int
    request_keys: int
    cron_runs: int
    longest_statement_seconds: float


async def cleanup(context: Context) -> CleanupOutcome:
    """Delete everything that is past retention; return how much that was.

    It can be broken off at any moment, and run twice at once. The files of a job go after its row,
    so nobody is offered what is no longer there; what a crash leaves between the two is found as an
    orphan. While it deletes a job with many events, somebody may see the job with some of them
    missing. Raises StoppingError when this worker stops.
    """
    return await _Cleanup(context).run()


class _Cleanup:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._hours = context.settings.retention_hours
        self._job_pace = Pace(20, most=1000, aim_seconds=_AIM_SECONDS)
        self._event_pace = Pace(200, most=10_000, aim_seconds=_AIM_SECONDS)

    async def run(self) -> CleanupOutcome:
        jobs = events = 0
        while ids := await self._pick():
            events += await self._delete_events(ids)
            gone = await self._delete_jobs(ids)
            await self._delete_files(gone)
            jobs += len(gone)
            if not gone:
                break  # Another process is deleting the very same ones.
        orphans = await self._delete_orphans()
        keys = await self._delete_request_keys()
        async with self._context.database.connect() as connection:
            runs = await cron_runs.forget(connection, older_than_hours=self._hours)
        outcome = CleanupOutcome(
            jobs=jobs,
            events=events,
            orphans=orphans,
            request_keys=keys,
            cron_runs=runs,
            longest_statement_seconds=max(
                self._job_pace.longest_seconds, self._event_pace.longest_seconds
            ),
        )
        log.info("cleaned up", jobs=jobs, events=events, orphans=orphans)
        return outcome

    async def _pick(self) -> Sequence[UUID]:
        async with self._context.database.connect() as connection:
            return await retention.pick(
                connection, retention_hours=self._hours, most=self._job_pace.rows
            )

    async def _delete_events(self, ids: Sequence[UUID]) -> int:
        """Delete the events first: with their job they could be any number in one statement."""
        deleted = 0
        while True:
            most = self._event_pace.rows
            with self._timed(self._event_pace):
                async with self._context.database.connect() as connection:
                    count = await retention.delete_events(
                        connection, ids, retention_hours=self._hours, most=most
                    )
            deleted += count
            if count < most:
                return deleted

    async def _delete_jobs(self, ids: Sequence[UUID]) -> Sequence[UUID]:
        with self._timed(self._job_pace):
            async with self._context.database.connect() as connection:
                return await retention.delete_jobs(connection, ids, retention_hours=self._hours)

    async def _delete_files(self, ids: Sequence[UUID]) -> None:
        for job_id in ids:
            try:
                await self._context.artifacts.delete_job(job_id)
            except OSError as error:  # Next time it is an orphan.
                log.warning("artifacts left", job_id=str(job_id), reason=str(error))

    async def _delete_orphans(self) -> int:
        """Delete files of jobs that no longer exist.

        Only what is itself past retention: should somebody connect another, younger database to a
        folder of artifacts, he has that long to notice.
        """
        try:
            kept = sorted(await self._context.artifacts.find_jobs(older_than_hours=self._hours))
        except OSError as error:
            log.warning("orphans not looked for", reason=str(error))
            return 0
        orphans = 0
        for start in range(0, len(kept), _ORPHANS_AT_ONCE):
            self._check_wanted()
            async with self._context.database.connect() as connection:
                unknown = await retention.find_unknown(
                    connection, kept[start : start + _ORPHANS_AT_ONCE]
                )
            await self._delete_files(sorted(unknown))
            orphans += len(unknown)
        return orphans

    async def _delete_request_keys(self) -> int:
        """Delete keys that may not be used to repeat a request any more, young jobs' too."""
        deleted = 0
        while True:
            most = self._event_pace.rows
            with self._timed(self._event_pace):
                async with self._context.database.connect() as connection:
                    count = await forget_old_keys(connection, most=most)
            deleted += count
            if count < most:
                return deleted

    @contextmanager
    def _timed(self, pace: Pace) -> Generator[None]:
        self._check_wanted()
        begun = time.perf_counter()
        yield
        pace.took(time.perf_counter() - begun)

    def _check_wanted(self) -> None:
        if self._context.is_draining:
            raise StoppingError("The cleanup goes on elsewhere; this worker is stopping")
