"""`POST /api/run` refused for its tool or its parameters; nothing is written then."""

from pathlib import Path

import pytest
from httpx2 import AsyncClient

from tests.integration.web.problems import faults_in, problem_in

pytestmark = pytest.mark.usefixtures("nothing_written")

JSON = {"Content-Type": "application/json"}


async def test_an_unknown_tool_is_not_found(client: AsyncClient) -> None:
    answer = await client.post("/api/run", json={"tool_name": "no_such_tool", "parameters": {}})
    assert problem_in(answer, 404) == "Tool no_such_tool not found"


@pytest.mark.parametrize(
    "name",
    [
        "../echo",
        "a/b",
        "%2e%2e/echo",
        "%2e%2e",
        ".",
        "..",
        "./echo",
        "echo.py",
        "tools/echo",
        "/etc/passwd",
        "~",
        "ECHO",
        "echo ",
        "\x00",
        "echo\x00.py",
        "echo\n",
        "C:\\echo",
        "file:///etc/passwd",
    ],
)
async def test_a_path_is_no_name(client: AsyncClient, name: str) -> None:
    answer = await client.post("/api/run", json={"tool_name": name})
    assert problem_in(answer, 404).startswith("Tool ")


async def test_an_absolute_path_of_a_tool_is_no_name(client: AsyncClient, web_folder: Path) -> None:
    for name in (web_folder / "tools" / "echo.py", web_folder / "tools" / "echo"):
        answer = await client.post("/api/run", json={"tool_name": str(name)})
        problem_in(answer, 404)


async def test_a_name_longer_than_any_is_not_told_back(client: AsyncClient) -> None:
    answer = await client.post("/api/run", json={"tool_name": "a" * 100_000})
    assert [fault["type"] for fault in faults_in(answer)] == ["string_too_long"]
    assert len(answer.content) < 1000


async def test_a_broken_tool_says_why(client: AsyncClient) -> None:
    answer = await client.post("/api/run", json={"tool_name": "broken"})
    detail = problem_in(answer, 409)
    assert detail.startswith("Tool broken is broken: its Python is not valid")


async def test_every_wrong_parameter_is_named_with_its_rule(client: AsyncClient) -> None:
    parameters = {"times": "x", "ratio": "", "case": "title", "size": 1}
    answer = await client.post("/api/run", json={"tool_name": "echo", "parameters": parameters})
    faults = {fault["loc"][-1]: fault for fault in faults_in(answer)}
    assert {name: fault["type"] for name, fault in faults.items()} == {
        "text": "required",
        "times": "type",
        "ratio": "type",
        "case": "enum",
        "size": "additionalProperties",
    }
    assert faults["text"]["msg"] == "text is required"
    assert faults["times"]["msg"] == "times must be a whole number"
    assert faults["times"]["input"] == "x"
    assert faults["case"]["msg"] == "case must be one of upper, lower"
    assert all(fault["loc"][:2] == ["body", "parameters"] for fault in faults.values())


@pytest.mark.parametrize("number", ["9223372036854775808", "18446744073709551616", "1e300"])
async def test_whole_numbers_beyond_64_bits_are_refused(client: AsyncClient, number: str) -> None:
    body = f'{{"tool_name": "echo", "parameters": {{"text": "a", "times": {number}}}}}'
    (fault,) = faults_in(await client.post("/api/run", content=body, headers=JSON))
    assert fault["loc"] == ["body", "parameters", "times"]


@pytest.mark.parametrize("text", ["\x00", "a\x00b"])
async def test_a_nul_in_a_parameter_is_refused(client: AsyncClient, text: str) -> None:
    for parameters in ({"text": text}, {"text": "a", text: 1}):
        faults_in(
            await client.post("/api/run", json={"tool_name": "echo", "parameters": parameters})
        )
