"""Reading jobs and what they left; nothing here changes anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import ArtifactNotFoundError, JobNotFoundError
from service.store.records import Artifact, Job, Result
from service.store.states import Status
from service.store.tables import artifacts, jobs, results


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the list of jobs, newest first: just behind the job it names."""

    created_at: datetime
    job_id: UUID

    @classmethod
    def behind(cls, job: Job) -> "Place":
        """Return the place just behind *job*."""
        return cls(job.created_at, job.id)


LISTED_CHARACTERS = 1000
"""The most that a list of jobs holds of each of a job's outputs: their ends."""

CUT_MARK = "[...]\n"
"""What stands before an end in a list where something is missing before it."""


@dataclass(frozen=True, slots=True)
class JobDetail:
    """A job with its latest result, if it has one, and the names of its artifacts."""

    job: Job
    result: Result | None
    artifact_names: tuple[str, ...]


_ARTIFACT_NAMES = (
    sa.select(sa.func.array_agg(sa.text("name ORDER BY name")))
    .select_from(artifacts)
    .where(artifacts.c.job_id == jobs.c.id)
    .scalar_subquery()
    .label("artifact_names")
)


def _shortened(column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """Cut a text to its end in the database, so that a list moves no megabytes."""
    end = sa.func.right(column, LISTED_CHARACTERS)
    is_long = sa.func.length(column) > LISTED_CHARACTERS
    return sa.case((is_long, sa.literal(CUT_MARK).concat(end)), else_=column)


def _with_result(**instead: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Select jobs with their results; *instead* replaces columns of these."""
    return sa.select(
        jobs,
        *(instead.get(each.name, each).label(f"result_{each.name}") for each in results.c),
        _ARTIFACT_NAMES,
    ).select_from(jobs.outerjoin(results, results.c.job_id == jobs.c.id))


_DETAIL = _with_result()
_LISTED = _with_result(output=_shortened(results.c.output), error=_shortened(results.c.error))


def _detail(row: sa.Row[Any]) -> JobDetail:
    result = None
    if row.result_job_id is not None:
        result = Result(
            fence=row.result_fence,
            output=row.result_output,
            output_bytes=row.result_output_bytes,
            error=row.result_error,
            error_bytes=row.result_error_bytes,
            left_out_lines=row.result_left_out_lines,
        )
    return JobDetail(Job.of(row), result, tuple(row.artifact_names or ()))


async def get_job(connection: AsyncConnection, job_id: UUID) -> Job:
    """Return the job; raise JobNotFoundError when there is none."""
    row = (await connection.execute(sa.select(jobs).where(jobs.c.id == job_id))).one_or_none()
    if row is None:
        raise JobNotFoundError(job_id)
    return Job.of(row)


async def get_detail(connection: AsyncConnection, job_id: UUID) -> JobDetail:
    """Return the job with what it left; raise JobNotFoundError when there is none."""
    row = (await connection.execute(_DETAIL.where(jobs.c.id == job_id))).one_or_none()
    if row is None:
        raise JobNotFoundError(job_id)
    return _detail(row)


async def list_jobs(
    connection: AsyncConnection,
    *,
    statuses: Sequence[Status] = (),
    tool_name: str | None = None,
    behind: Place | None = None,
    most: int = 50,
) -> list[JobDetail]:
    """Return jobs, newest first, that fit every filter given; at most *most* of them.

    Of what they printed only the last LISTED_CHARACTERS are there.
    """
    query = _LISTED.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(most)
    if statuses:
        query = query.where(jobs.c.status.in_(statuses))
    if tool_name is not None:
        query = query.where(jobs.c.tool_name == tool_name)
    if behind is not None:
        place = sa.tuple_(jobs.c.created_at, jobs.c.id)
        query = query.where(place < sa.tuple_(behind.created_at, behind.job_id))
    return [_detail(row) for row in await connection.execute(query)]


async def list_artifacts(connection: AsyncConnection, job_id: UUID) -> list[Artifact]:
    """Return what the job left, by name; nothing for a job that is unknown."""
    rows = await connection.execute(
        sa.select(artifacts).where(artifacts.c.job_id == job_id).order_by(artifacts.c.name)
    )
    return [_artifact(row) for row in rows]


async def get_artifact(connection: AsyncConnection, job_id: UUID, name: str) -> Artifact:
    """Return one artifact; raise ArtifactNotFoundError when the job has none of that name."""
    if "\0" in name:  # Which PostgreSQL's text cannot hold, not even to look for it.
        raise ArtifactNotFoundError(job_id, name)
    row = (
        await connection.execute(
            sa.select(artifacts).where(artifacts.c.job_id == job_id, artifacts.c.name == name)
        )
    ).one_or_none()
    if row is None:
        raise ArtifactNotFoundError(job_id, name)
    return _artifact(row)


def _artifact(row: sa.Row[Any]) -> Artifact:
    return Artifact(
        id=row.id,
        name=row.name,
        media_type=row.media_type,
        size=row.size,
        sha256=row.sha256,
        location=row.location,
        created_at=row.created_at,
    )
