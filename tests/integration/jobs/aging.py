"""Jobs that ended long ago, with whatever they left."""

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from service.store.records import Job
from service.store.tables import artifacts, job_events, jobs, results
from tests.integration.jobs.worlds import World


async def age(world: World, *of: Job, hours: float) -> None:
    """Let that much time pass for these jobs."""
    past = timedelta(hours=hours)
    moments = ("created_at", "queued_at", "started_at", "completed_at", "next_attempt_at")
    async with world.context.database.connect() as connection:
        await connection.execute(
            sa.update(jobs)
            .where(jobs.c.id.in_([job.id for job in of]))
            .values({name: jobs.c[name] - past for name in moments})
        )


async def add_events(world: World, job: Job, count: int) -> None:
    """Write that many rows of log lines for the job."""
    async with world.context.database.connect() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO job_events (job_id, seq, last_seq, kind, fence, data) "
                "SELECT :job, number, number, 'log', 1, "
                """'{"lines": [["stdout", "a line that is as long as lines are"]]}' """
                "FROM generate_series(1001, 1000 + :count) AS number"
            ),
            {"job": job.id, "count": count},
        )


async def rows_of(world: World, *ids: UUID) -> list[int]:
    """Return how many rows of jobs, events, results and artifacts these jobs have."""
    columns = (jobs.c.id, job_events.c.job_id, results.c.job_id, artifacts.c.job_id)
    async with world.context.database.connect() as connection:
        return [
            (
                await connection.execute(
                    sa.select(sa.func.count()).select_from(each.table).where(each.in_(ids))
                )
            ).scalar_one()
            for each in columns
        ]
