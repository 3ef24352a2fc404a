"""`/api/health`: what it says of each part, and that it answers in time whatever is away."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncConnection

from service import __version__
from service.store import workers
from service.store.states import Status
from tests.integration.store.making import identity, job_in, signed_on, somebody
from tests.integration.web.serving import REFUSING, serving, settings_for
from tests.servers import postgres_client
from tests.silence import Line, through
from tests.waiting import at_most

IN_TIME_SECONDS = 1.5
"""A second, and room for a busy machine."""

CHECKS = {"database", "redis", "workers", "queues", "cpu", "memory", "disk"}


def _grades(content: Mapping[str, Any], *names: str) -> list[str]:
    return [content["checks"][name]["status"] for name in names]


async def _health(client: AsyncClient, status: int) -> dict[str, Any]:
    with at_most(IN_TIME_SECONDS):
        answer = await client.get("/api/health")
    assert answer.status_code == status
    content = answer.json()
    assert content.keys() == {"status", "checked_at", "host", "version", "checks"}
    assert content["version"] == __version__
    assert content["checks"].keys() >= CHECKS
    for check in content["checks"].values():
        assert check["status"] in {"ok", "degraded", "failing"}
        assert check["message"]
    return content


async def test_every_part_is_named_with_its_figures(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    await signed_on(connection)
    await job_in(connection, Status.QUEUED)
    content = await _health(client, 200)
    assert _grades(content, "database", "redis", "workers", "queues") == ["ok"] * 4
    checks = content["checks"]
    assert checks["workers"]["facts"] == {"live": 1, "draining": 0, "lost": 0}
    tools = checks["queues"]["facts"]["tools"]
    assert (tools["waiting"], tools["scheduled"], tools["running"]) == (1, 0, 0)
    assert 0 <= tools["oldest_waiting_seconds"] < 60
    assert checks["cpu"]["facts"]["cores"] > 0
    assert (
        0 < checks["memory"]["facts"]["available_bytes"] < checks["memory"]["facts"]["total_bytes"]
    )
    assert 0 < checks["disk"]["facts"]["free_bytes"] < checks["disk"]["facts"]["total_bytes"]


async def test_workers_that_leave_or_are_lost_are_counted_apart(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    await signed_on(connection)
    await signed_on(connection, lease_seconds=-1)
    leaving = await signed_on(connection)
    await workers.mark_draining(connection, leaving.id)
    content = await _health(client, 200)
    assert content["checks"]["workers"]["facts"] == {"live": 1, "draining": 1, "lost": 1}
    assert content["status"] == "degraded"


async def test_the_api_that_runs_jobs_itself_is_no_worker(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    standby = identity(somebody("api@here:1"), is_standby=True)
    assert await workers.register(connection, standby, lease_seconds=60.0)
    facts = (await _health(client, 200))["checks"]["workers"]["facts"]
    assert facts == {"live": 0, "draining": 0, "lost": 0}
    assert (await client.get("/ready")).json()["workers"] == 0


async def test_without_a_worker_it_is_degraded(client: AsyncClient) -> None:
    content = await _health(client, 200)
    assert _grades(content, "workers", "queues") == ["degraded", "ok"]
    assert content["status"] == "degraded"


async def test_a_job_that_waits_for_minutes_degrades_and_one_that_is_to_wait_does_not(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    job = await job_in(connection, Status.QUEUED)
    moved = (
        "UPDATE jobs SET next_attempt_at = now() + :wait * interval '1 second', "
        "queued_at = now() - interval '1 hour' WHERE id = :job"
    )
    await connection.execute(sa.text(moved), {"wait": 3600.0, "job": job.id})
    content = await _health(client, 200)
    assert _grades(content, "queues") == ["ok"]
    assert content["checks"]["queues"]["facts"]["tools"]["scheduled"] == 1
    await connection.execute(sa.text(moved), {"wait": -600.0, "job": job.id})
    content = await _health(client, 200)
    assert _grades(content, "queues") == ["degraded"]
    assert content["checks"]["queues"]["facts"]["tools"]["oldest_waiting_seconds"] > 590


@asynccontextmanager
async def _slow_to_count(url: str) -> AsyncGenerator[None]:
    """Have PostgreSQL take seconds to read the jobs, as if there were millions."""
    async with postgres_client(url) as other:
        await other.execute("ALTER TABLE jobs RENAME TO real_jobs")
        await other.execute("CREATE VIEW jobs AS SELECT real_jobs.* FROM real_jobs, pg_sleep(3)")
        try:
            yield
        finally:
            await other.execute("DROP VIEW jobs")
            await other.execute("ALTER TABLE real_jobs RENAME TO jobs")


async def test_a_backlog_too_long_to_count_degrades_and_the_database_is_well(
    client: AsyncClient, connection: AsyncConnection, migrated_url: str
) -> None:
    """Whoever sends requests elsewhere on a 503 would do so just when there is most to do."""
    await signed_on(connection)
    await job_in(connection, Status.QUEUED)
    async with _slow_to_count(migrated_url):
        content = await _health(client, 200)
    assert _grades(content, "database", "workers", "queues") == ["ok", "ok", "degraded"]
    assert content["checks"]["queues"]["message"] == "Too many jobs to count in time"


async def test_without_redis_it_is_degraded_and_answers_200(
    web_folder: Path, migrated_url: str, connection: AsyncConnection
) -> None:
    assert connection
    settings = settings_for(web_folder, database_url=migrated_url, redis_url=f"redis://{REFUSING}")
    async with serving(settings) as client:
        content = await _health(client, 200)
    assert _grades(content, "database", "redis") == ["ok", "degraded"]


async def test_without_the_database_it_fails_and_answers_503(
    web_folder: Path, redis_url: str
) -> None:
    no_database = f"postgresql://me:secret@{REFUSING}/none"
    settings = settings_for(web_folder, database_url=no_database, redis_url=redis_url)
    async with serving(settings) as client:
        content = await _health(client, 503)
    assert _grades(content, "database", "workers", "queues") == ["failing"] * 3
    assert _grades(content, "redis") == ["ok"]
    assert "secret" not in str(content)


@pytest.mark.parametrize("is_in_use", [False, True])
async def test_it_answers_in_time_when_both_servers_are_silent(
    web_folder: Path,
    migrated_url: str,
    redis_url: str,
    redis_line: Line,
    postgres_line: Line,
    is_in_use: bool,  # noqa: FBT001  # A parameter of the test.
) -> None:
    settings = settings_for(
        web_folder,
        database_url=through(postgres_line, migrated_url),
        redis_url=through(redis_line, redis_url),
    )
    async with serving(settings) as client:
        if is_in_use:
            await _health(client, 200)
        for line in (redis_line, postgres_line):
            line.is_alive.clear()
        for _ in range(3):
            content = await _health(client, 503)
            assert _grades(content, "database", "redis") == ["failing", "degraded"]
        for line in (redis_line, postgres_line):
            line.is_alive.set()
