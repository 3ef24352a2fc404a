"""`POST /api/run` refused for the form of its body; nothing is written then."""

from collections.abc import AsyncGenerator

import pytest
from httpx2 import AsyncClient
from starlette.types import Message

from service.config import Settings
from tests.integration.web.problems import faults_in, problem_in
from tests.integration.web.serving import started

pytestmark = pytest.mark.usefixtures("nothing_written")

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "kind", "loc", "given"),
    [
        ({"parameters": {}}, "missing", ["body", "tool_name"], {"parameters": {}}),
        ({"tool_name": "nothing", "parameters": "x"}, "dict_type", ["body", "parameters"], "x"),
        ({"tool_name": "nothing", "parameters": None}, "dict_type", ["body", "parameters"], None),
        ({"tool_name": 1}, "string_type", ["body", "tool_name"], 1),
        ({"tool_name": ""}, "string_too_short", ["body", "tool_name"], ""),
        ({"tool_name": "nothing", "status": "x"}, "extra_forbidden", ["body", "status"], "x"),
        ({"tool_name": "nothing", "attempt": 9}, "extra_forbidden", ["body", "attempt"], 9),
        ([], "model_type", ["body"], []),
        ("nothing", "model_type", ["body"], "nothing"),
        (1, "model_type", ["body"], 1),
    ],
)  # fmt: skip
async def test_a_wrong_body_is_told_field_by_field(
    client: AsyncClient, body: object, kind: str, loc: list[str], given: object
) -> None:
    """As the Celery-based system told it: `type`, `loc`, `msg` and `input`."""
    (fault,) = faults_in(await client.post("/api/run", json=body))
    assert (fault["type"], fault["loc"], fault["input"]) == (kind, loc, given)


async def test_a_long_input_is_told_shortened(client: AsyncClient) -> None:
    body = {"tool_name": "echo", "parameters": {"text": "a", "times": ["ä" * 100_000]}}
    answer = await client.post("/api/run", json=body)
    (fault,) = faults_in(answer)
    assert len(fault["input"]) < 250
    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"tool_name": "nothing"',
        b'{"tool_name": "nothing"} x',
        b"{'tool_name': 'nothing'}",
        b'{"tool_name": "\xff\xfe"}',
        '{"tool_name": "nothing"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"tool_name": "nothing"}',
        b'{"tool_name": "\\ud800"}',
        b'{"tool_name": "nothing", "parameters": {"a": NaN}}',
        b'{"tool_name": "nothing", "parameters": {"a": -Infinity}}',
        b'{"tool_name": "nothing", "parameters": {"a": 1e400}}',
        b'{"tool_name": "nothing", "parameters": {"a": 1' + b"0" * 5000 + b"}}",
        b'{"tool_name": "broken", "tool_name": "nothing"}',
        b'{"tool_name": "nothing", "parameters": {"a": {"b": 1, "b": 2}}}',
        b"[" * 400_000,
    ],
    ids=range(17),
)  # fmt: skip
async def test_what_is_no_json_is_malformed(client: AsyncClient, body: bytes) -> None:
    answer = await client.post("/api/run", content=body, headers=JSON)
    assert problem_in(answer, 400).startswith("The body is not JSON: ")


@pytest.mark.parametrize("depth", [40, 300, 800])
async def test_what_is_nested_too_deeply_is_refused(client: AsyncClient, depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    parameters = b'{"tool_name": "echo", "parameters": {"text": ' + nested + b"}}"
    answer = await client.post("/api/run", content=parameters, headers=JSON)
    assert [fault["type"] for fault in faults_in(answer)] == ["maxDepth"]
    for body in (nested, b'{"tool_name": ' + nested + b"}"):
        faults_in(await client.post("/api/run", content=body, headers=JSON))


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/jsonp"},
        {},
    ],
)
async def test_only_json_is_read(client: AsyncClient, headers: dict[str, str]) -> None:
    """Also a guard: no form on another site can send this without the browser's asking first."""
    answer = await client.post("/api/run", content=b'{"tool_name": "nothing"}', headers=headers)
    problem_in(answer, 415)


LARGE = b'{"tool_name": "nothing", "parameters": {"a": "' + b"a" * 1_000_000 + b'"}}'


async def test_what_only_some_parsers_can_nest_is_refused_all_the_same(client: AsyncClient) -> None:
    """Python 3.11's gives up before 1,000 levels; later ones go on."""
    nested = b"[" * 990 + b"]" * 990
    body = b'{"tool_name": "echo", "parameters": {"text": ' + nested + b"}}"
    answer = await client.post("/api/run", content=body, headers=JSON)
    assert problem_in(answer, 422 if answer.status_code == 422 else 400)


@pytest.fixture
def sent() -> list[int]:
    """Give a list of how much of a body was taken from its sender, piece by piece."""
    return []


@pytest.fixture
async def endless(sent: list[int]) -> AsyncGenerator[AsyncGenerator[bytes]]:
    """Give a body without an end."""

    async def pieces() -> AsyncGenerator[bytes]:
        while True:
            sent.append(100_000)
            yield b"a" * 100_000

    body = pieces()
    yield body
    await body.aclose()


async def test_a_body_too_large_is_refused(client: AsyncClient) -> None:
    answer = await client.post("/api/run", content=LARGE, headers=JSON)
    assert problem_in(answer, 413) == "The body must be at most 1,000,000 bytes"


async def test_of_a_body_that_says_it_is_too_large_nothing_is_read(
    client: AsyncClient, endless: AsyncGenerator[bytes], sent: list[int]
) -> None:
    headers = {**JSON, "Content-Length": "1000001"}
    problem_in(await client.post("/api/run", content=endless, headers=headers), 413)
    assert sent == []


async def test_a_body_too_large_is_refused_while_it_comes(
    client: AsyncClient, endless: AsyncGenerator[bytes], sent: list[int]
) -> None:
    """Sent in chunks, its length is not known; no more is read than the limit."""
    problem_in(await client.post("/api/run", content=endless, headers=JSON), 413)
    assert sum(sent) == 1_100_000


async def test_a_body_that_breaks_off_is_no_fault_of_ours(web_settings: Settings) -> None:
    """Nobody is there to read the answer; what counts is that none is in the log as a fault."""
    body: Message = {"type": "http.request", "body": b'{"tool_name":', "more_body": True}
    coming = iter((body, {"type": "http.disconnect"}))
    sent: list[Message] = []

    async def receive() -> Message:
        return next(coming)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/run",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    async with started(web_settings) as app:
        await app(scope, receive, send)
    assert sent[0]["status"] == 400


async def test_a_length_that_lies_does_not_help(client: AsyncClient) -> None:
    for length in ("10", "-1", "x", "9" * 5000):
        answer = await client.post(
            "/api/run", content=LARGE, headers={**JSON, "Content-Length": length}
        )
        problem_in(answer, 413)


async def test_a_body_of_the_largest_size_is_read(client: AsyncClient) -> None:
    body = LARGE[:1_000_000]
    answer = await client.post("/api/run", content=body, headers=JSON)
    problem_in(answer, 400)
