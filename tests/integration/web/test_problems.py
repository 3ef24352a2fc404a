"""Every error is a problem document, whoever found it."""

from collections.abc import AsyncGenerator
from uuid import uuid4

import pytest
import sqlalchemy as sa
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncConnection

from service.config import Settings
from tests.integration.web.problems import faults_in, problem_in
from tests.integration.web.serving import serving


@pytest.mark.parametrize("path", ["/nowhere", "/api", "/api/nowhere", "/api/jobs/x", "/%00"])
async def test_an_unknown_address_is_a_problem(client: AsyncClient, path: str) -> None:
    problem_in(await client.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/run", {"POST"}),
        ("PUT", "/api/run", {"POST"}),
        ("POST", "/api/jobs", {"GET", "HEAD"}),
        ("POST", f"/api/jobs/{uuid4()}", {"GET", "HEAD", "DELETE"}),
        ("DELETE", f"/api/jobs/{uuid4()}/logs", {"GET", "HEAD"}),
        ("PUT", f"/api/jobs/{uuid4()}/artifacts/a", {"GET", "HEAD"}),
        ("DELETE", "/api/tools/echo", {"GET", "HEAD"}),
        ("POST", "/health", {"GET", "HEAD"}),
        ("POST", "/", {"GET", "HEAD"}),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    client: AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = await client.request(method, path)
    problem_in(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/api/jobs?status=lost", "status"),
        ("GET", "/api/jobs?status=", "status"),
        ("GET", "/api/jobs?limit=0", "limit"),
        ("GET", "/api/jobs?limit=201", "limit"),
        ("GET", "/api/jobs?limit=many", "limit"),
        ("GET", "/api/jobs?limit=1&limit=2", "limit"),
        ("GET", "/api/jobs?cursor=x", "cursor"),
        ("GET", "/api/jobs?cursor=%C3%A4", "cursor"),
        ("GET", "/api/jobs?cursor=MDAwMS0wMS0wMVQwMDowMCswMTowMCB4", "cursor"),
        ("GET", "/api/jobs?tool=%00", "tool"),
        ("GET", "/api/jobs?page=2", "page"),
        ("GET", "/api/jobs/{}/logs?after=-1", "after"),
        ("GET", "/api/jobs/{}/logs?after=2147483648", "after"),
        ("GET", "/api/jobs/{}/logs?after=x", "after"),
        ("GET", "/api/jobs/{}/logs?limit=0", "limit"),
        ("GET", "/api/jobs/{}/logs?limit=10001", "limit"),
        ("GET", "/api/jobs/{}/logs?since=1", "since"),
        ("GET", "/api/jobs/{}/artifacts/a?download=perhaps", "download"),
        ("GET", "/api/jobs/{}/artifacts/a?inline=1", "inline"),
        ("DELETE", "/api/jobs/{}?terminate=maybe", "terminate"),
        ("DELETE", "/api/jobs/{}?force=true", "force"),
    ],
)
async def test_a_wrong_query_is_named(
    client: AsyncClient, method: str, path: str, name: str
) -> None:
    (fault,) = faults_in(await client.request(method, path.format(uuid4())))
    assert fault["loc"][:2] == ["query", name]
    assert name in fault["msg"]


@pytest.fixture
async def without_column(connection: AsyncConnection) -> AsyncGenerator[None]:
    """Take a column away, so that asking for it is a fault nobody foresaw."""
    await connection.execute(sa.text("ALTER TABLE results RENAME output TO mislaid"))
    yield
    await connection.execute(sa.text("ALTER TABLE results RENAME mislaid TO output"))


@pytest.mark.usefixtures("without_column")
async def test_a_fault_of_ours_tells_nothing_of_our_inside(web_settings: Settings) -> None:
    async with serving(web_settings, raises=False) as client:
        answer = await client.get("/api/jobs")
    assert problem_in(answer, 500) == "The service made a mistake; it is in its log"
    assert "output" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
