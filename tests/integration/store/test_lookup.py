"""Reading jobs: pages and filters."""

from dataclasses import replace
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import ArtifactNotFoundError, JobNotFoundError
from service.store import jobs, lookup
from service.store.lookup import Place
from service.store.records import Job
from service.store.states import Status
from tests.integration.store.making import NEW, job_in


async def test_pages_hold_every_job_once_newest_first(connection: AsyncConnection) -> None:
    """Also where many were created in the same moment."""
    made = [await jobs.create(connection, NEW) for _ in range(7)]
    await connection.execute(sa.text("UPDATE jobs SET created_at = '2026-11-22 12:00+00'"))
    seen: list[Job] = []
    behind: Place | None = None
    while page := await lookup.list_jobs(connection, behind=behind, most=3):
        seen += [detail.job for detail in page]
        behind = Place.behind(page[-1].job)
    assert [job.id for job in seen] == [job.id for job in reversed(made)]


async def test_filters_are_joined(connection: AsyncConnection) -> None:
    wanted = await job_in(connection, Status.COMPLETED)
    await job_in(connection, Status.QUEUED)
    await jobs.create(connection, replace(NEW, tool_name="other"))
    found = await lookup.list_jobs(
        connection, statuses=[Status.COMPLETED, Status.FAILED], tool_name="sleep"
    )
    assert [detail.job.id for detail in found] == [wanted.id]


async def test_what_is_not_there_is_said_to_be_not_there(connection: AsyncConnection) -> None:
    with pytest.raises(JobNotFoundError):
        await lookup.get_job(connection, uuid4())
    with pytest.raises(JobNotFoundError):
        await lookup.get_detail(connection, uuid4())
    job = await jobs.create(connection, NEW)
    with pytest.raises(ArtifactNotFoundError):
        await lookup.get_artifact(connection, job.id, "../../etc/passwd")
