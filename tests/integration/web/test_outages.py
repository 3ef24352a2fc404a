"""What the API answers while a server it needs is away, and how soon."""

from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import lookup
from service.store.states import Status
from tests.integration.store.making import job_in
from tests.integration.web.looking import count_jobs, deliveries
from tests.integration.web.problems import problem_in
from tests.integration.web.serving import REFUSING, serving, settings_for
from tests.silence import Line, through
from tests.waiting import at_most, until

RUN = {"tool_name": "nothing"}


@pytest.fixture
async def without_redis(
    web_folder: Path, migrated_url: str, connection: AsyncConnection
) -> AsyncGenerator[AsyncClient]:
    """Give a client of an application whose Redis refuses every connection."""
    assert connection
    settings = settings_for(web_folder, database_url=migrated_url, redis_url=f"redis://{REFUSING}")
    async with serving(settings) as client:
        yield client


@pytest.fixture
async def without_postgres(web_folder: Path, redis_url: str) -> AsyncGenerator[AsyncClient]:
    """Give a client of an application whose PostgreSQL refuses every connection."""
    settings = settings_for(
        web_folder, database_url=f"postgresql://me:secret@{REFUSING}/none", redis_url=redis_url
    )
    async with serving(settings) as client:
        yield client


async def test_without_redis_a_job_is_accepted_all_the_same(
    without_redis: AsyncClient, connection: AsyncConnection
) -> None:
    with at_most(1.0):
        answer = await without_redis.post("/api/run", json=RUN)
    assert answer.status_code == 200
    assert answer.json().keys() == {"job_id", "tool_name", "status", "message"}
    assert answer.json()["status"] == "pending"
    job = await lookup.get_job(connection, UUID(answer.json()["job_id"]))
    assert job.status is Status.PENDING


async def test_a_silent_redis_holds_nobody_up(
    web_folder: Path,
    migrated_url: str,
    redis_url: str,
    redis_line: Line,
) -> None:
    """Also one that went silent under a connection in use."""
    settings = settings_for(
        web_folder, database_url=migrated_url, redis_url=through(redis_line, redis_url)
    )
    async with serving(settings) as client:
        assert (await client.post("/api/run", json=RUN)).json()["status"] == "queued"
        redis_line.is_alive.clear()
        for _ in range(3):
            with at_most(1.0):
                answer = await client.post("/api/run", json=RUN)
            assert answer.json()["status"] == "pending"
        redis_line.is_alive.set()

        async def is_queued() -> bool:
            return (await client.post("/api/run", json=RUN)).json()["status"] == "queued"

        await until(is_queued, what="a job to be queued again")


async def test_without_redis_jobs_are_cancelled_all_the_same(
    without_redis: AsyncClient, connection: AsyncConnection
) -> None:
    for status, expected in [(Status.QUEUED, "cancelled"), (Status.RUNNING, "running")]:
        job = await job_in(connection, status)
        with at_most(2.0):
            answer = await without_redis.delete(f"/api/jobs/{job.id}")
        assert (answer.status_code, answer.json()["status"]) == (200, expected)


async def test_without_postgres_nothing_is_accepted(
    without_postgres: AsyncClient, redis_url: str
) -> None:
    with at_most(2.5):
        answer = await without_postgres.post("/api/run", json=RUN)
    detail = problem_in(answer, 503)
    assert int(answer.headers["retry-after"]) > 0
    assert "127.0.0.1" not in detail
    assert await deliveries(redis_url) == {}


@pytest.mark.parametrize(
    "path",
    [
        "/api/jobs",
        "/api/jobs/{}",
        "/api/jobs/{}/logs",
        "/api/jobs/{}/artifacts",
        "/api/jobs/{}/artifacts/a",
    ],
)
async def test_without_postgres_no_question_is_answered(
    without_postgres: AsyncClient, path: str
) -> None:
    answer = await without_postgres.get(path.format(UUID(int=1)))
    problem_in(answer, 503)
    assert answer.headers["retry-after"]


async def test_without_postgres_tools_are_listed(without_postgres: AsyncClient) -> None:
    assert (await without_postgres.get("/api/tools")).json()["total"] == 3


async def test_a_silent_postgres_holds_nobody_up(
    web_folder: Path,
    migrated_url: str,
    redis_url: str,
    postgres_line: Line,
    connection: AsyncConnection,
) -> None:
    settings = settings_for(
        web_folder, database_url=through(postgres_line, migrated_url), redis_url=redis_url
    )
    async with serving(settings) as client:
        postgres_line.is_alive.clear()
        with at_most(3):
            answer = await client.post("/api/run", json=RUN)
        problem_in(answer, 503)
        postgres_line.is_alive.set()
        assert (await client.post("/api/run", json=RUN)).json()["status"] == "queued"
    assert await count_jobs(connection) == 1


@pytest.fixture
async def failing_updates(connection: AsyncConnection) -> AsyncGenerator[None]:
    """Let every change of a job fail as on a server that shuts down; new jobs are taken."""
    await connection.execute(
        sa.text(
            "CREATE FUNCTION shut_down() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE 'shutting down' USING ERRCODE = 'admin_shutdown'; END $$"
        )
    )
    await connection.execute(
        sa.text("CREATE TRIGGER fail BEFORE UPDATE ON jobs EXECUTE FUNCTION shut_down()")
    )
    yield
    await connection.execute(sa.text("DROP FUNCTION shut_down CASCADE"))


@pytest.mark.usefixtures("failing_updates")
async def test_a_job_is_accepted_once_when_the_database_fails_behind_it(
    client: AsyncClient, connection: AsyncConnection, redis_url: str
) -> None:
    """It is in, and its delivery is out: an error now would make people ask again."""
    answer = await client.post("/api/run", json=RUN)
    assert (answer.status_code, answer.json()["status"]) == (200, "queued")
    assert await count_jobs(connection) == 1
    assert list(await deliveries(redis_url)) == [f"{answer.json()['job_id']}:1"]
