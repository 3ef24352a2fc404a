"""Whatever is posted, the fault is never the service's."""

import json
from urllib.parse import quote
from uuid import UUID

from httpx2 import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

JSON = {"Content-Type": "application/json"}

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
tool_names = st.sampled_from(["echo", "nothing", "broken", "../echo", ""]) | st.text(max_size=10)
parameter_names = st.sampled_from(["text", "times", "ratio", "case"]) | st.text(max_size=8)
near_misses = st.fixed_dictionaries(
    {},
    optional={
        "tool_name": tool_names | values,
        "parameters": st.dictionaries(parameter_names, values, max_size=5) | values,
        "status": values,
    },
)
quickly = settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def written(value: object) -> bytes:
    """Return *value* as some client might write it, NaN and halves of surrogate pairs included."""
    return json.dumps(value).encode()


@quickly
@given(body=st.binary(max_size=200) | (values | near_misses).map(written))
async def test_no_body_is_answered_with_a_fault(client: AsyncClient, body: bytes) -> None:
    answer = await client.post("/api/run", content=body, headers=JSON)
    assert answer.status_code in {200, 400, 404, 409, 422}
    assert answer.json()["status"] in {"queued", answer.status_code}


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
addresses = st.sampled_from(
    [f"/api/jobs/{UUID(int=7)}{rest}" for rest in ("", "/logs", "/artifacts")] + ["/api/jobs"]
)
asked = st.dictionaries(
    st.sampled_from(["status", "tool", "limit", "cursor", "after", "terminate"]) | words,
    words | st.integers().map(str) | st.sampled_from(["queued", "queued,failed", "AAAA", "MjAyNg"]),
    max_size=3,
)


@quickly
@given(address=addresses, query=asked)
async def test_no_query_is_answered_with_a_fault(
    client: AsyncClient, address: str, query: dict[str, str]
) -> None:
    answer = await client.get(address, params=query)
    assert answer.status_code in {200, 404, 422}


@quickly
@given(
    start=st.sampled_from(["/api/tools", "/api/jobs", f"/api/jobs/{UUID(int=7)}/artifacts", ""]),
    parts=st.lists(words, min_size=1, max_size=3),
)
async def test_no_address_is_answered_with_a_fault(
    client: AsyncClient, start: str, parts: list[str]
) -> None:
    path = "/".join([start, *(quote(part, safe="") for part in parts)])
    answer = await client.get(path)
    assert answer.status_code in {200, 307, 404}
