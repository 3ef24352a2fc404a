"""`/api/tools`: what can be run, and what cannot and why."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from httpx2 import AsyncClient

from tests.integration.web.problems import problem_in


@pytest.fixture
def put_newcomer(web_folder: Path) -> Iterator[Callable[[str], None]]:
    """Give what makes the tool `newcomer` of a source; without one the tool is taken away."""
    path = web_folder / "tools" / "newcomer.py"

    def put(source: str) -> None:
        if source:
            path.write_text(source)
        else:
            path.unlink(missing_ok=True)

    yield put
    put("")


async def test_every_tool_is_listed_by_name(client: AsyncClient) -> None:
    content = (await client.get("/api/tools")).json()
    assert content["total"] == 3
    assert [tool["name"] for tool in content["tools"]] == ["broken", "echo", "nothing"]


async def test_a_broken_tool_is_shown_with_its_reason(client: AsyncClient) -> None:
    tool = (await client.get("/api/tools/broken")).json()
    assert tool["broken"] is True
    assert "(line 1)" in tool["reason"]


async def test_a_tool_tells_what_it_takes(client: AsyncClient, web_folder: Path) -> None:
    answer = await client.get("/api/tools/echo")
    tool = answer.json()
    assert (tool["name"], tool["title"], tool["broken"]) == ("echo", "Say a text", False)
    assert tool["parameters"]["required"] == ["text"]
    assert tool["parameters"]["properties"]["times"]["default"] == 1
    assert str(web_folder) not in answer.text


@pytest.mark.parametrize(
    "name", ["unknown", "echo.py", "..", "%2e%2e", "a%2Fb", "%00", "..%2Fecho"]
)
async def test_an_unknown_tool_is_not_found(client: AsyncClient, name: str) -> None:
    problem_in(await client.get(f"/api/tools/{name}"), 404)


async def test_a_new_file_is_a_tool_at_once(
    client: AsyncClient, put_newcomer: Callable[[str], None]
) -> None:
    run = {"tool_name": "newcomer"}
    problem_in(await client.post("/api/run", json=run), 404)
    put_newcomer('"""Newly come."""\n')
    assert (await client.get("/api/tools/newcomer")).json()["title"] == "Newly come"
    assert (await client.post("/api/run", json=run)).status_code == 200
    put_newcomer("def (:\n")
    problem_in(await client.post("/api/run", json=run), 409)
    put_newcomer("")
    problem_in(await client.post("/api/run", json=run), 404)
    assert (await client.get("/api/tools")).json()["total"] == 3
