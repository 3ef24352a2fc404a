"""`Idempotency-Key`: a request that is repeated makes no second job."""

import asyncio
from collections.abc import Mapping
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from httpx2 import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import lookup
from service.store.states import Status
from tests.integration.web.looking import count_jobs, deliveries
from tests.integration.web.problems import faults_in
from tests.servers import redis_client

RUN: Mapping[str, object] = {"tool_name": "echo", "parameters": {"text": "a", "times": 2}}
PAIRS = 200


async def post(client: AsyncClient, key: str, body: Mapping[str, object] = RUN) -> Response:
    """Post with a key."""
    return await client.post("/api/run", json=body, headers={"Idempotency-Key": key})


async def job_id(client: AsyncClient, key: str, body: Mapping[str, object] = RUN) -> str:
    """Return the id in the answer to a request that must be accepted."""
    answer = await post(client, key, body)
    assert answer.status_code == 200, answer.text
    return answer.json()["job_id"]


async def test_a_repeated_request_gets_the_same_job(
    client: AsyncClient, connection: AsyncConnection, redis_url: str
) -> None:
    first, second = await post(client, "a"), await post(client, "a")
    assert first.json() == second.json()
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert await count_jobs(connection) == 1
    assert list(await deliveries(redis_url)) == [f"{first.json()['job_id']}:1"]


async def test_the_order_of_names_does_not_make_another_request(client: AsyncClient) -> None:
    same = {"parameters": {"times": 2, "text": "a"}, "tool_name": "echo", "delay": None}
    assert await job_id(client, "a") == await job_id(client, "a", same)


@pytest.mark.parametrize(
    "body",
    [
        {"tool_name": "nothing"},
        {"tool_name": "echo", "parameters": {"text": "a"}},
        {**RUN, "priority": 1},
        {**RUN, "run_at": "2001-01-01T00:00:00Z"},
    ],
)
async def test_another_request_with_the_same_key_is_refused(
    client: AsyncClient, connection: AsyncConnection, body: Mapping[str, object]
) -> None:
    first = await job_id(client, "a")
    (fault,) = faults_in(await post(client, "a", body))
    assert (fault["type"], fault["loc"]) == ("reused", ["header", "Idempotency-Key"])
    assert await job_id(client, "a") == first
    assert await count_jobs(connection) == 1


async def test_other_keys_make_other_jobs(client: AsyncClient) -> None:
    keys = ["a", "A", "b", '"a"', "!", "~" * 255, "a" * 255]
    assert len({await job_id(client, key) for key in keys}) == len(keys)


async def test_without_a_key_every_request_is_a_job(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    for _ in range(2):
        await client.post("/api/run", json=RUN)
    assert await count_jobs(connection) == 2


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize(
    "headers",
    [
        [("Idempotency-Key", "")],
        [("Idempotency-Key", "a" * 256)],
        [("Idempotency-Key", "a b")],
        [("Idempotency-Key", "a\tb")],
        [("Idempotency-Key", "\xe4".encode())],
        [("Idempotency-Key", "\x7f")],
        [("Idempotency-Key", "a"), ("Idempotency-Key", "b")],
    ],
    ids=range(7),
)
async def test_a_key_out_of_bounds_is_refused(
    client: AsyncClient, headers: list[tuple[str, str]]
) -> None:
    (fault,) = faults_in(await client.post("/api/run", json=RUN, headers=headers))
    assert (fault["type"], fault["loc"]) == ("pattern", ["header", "Idempotency-Key"])


async def test_a_refused_request_leaves_its_key_free(client: AsyncClient) -> None:
    faults_in(await post(client, "a", {"tool_name": "echo", "parameters": {}}))
    assert await job_id(client, "a")


async def test_of_racing_pairs_each_makes_one_job(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    keys = [str(uuid4()) for _ in range(PAIRS)]
    ids: dict[str, set[str]] = {key: set() for key in keys}
    turn = asyncio.Semaphore(8)

    async def send(key: str) -> None:
        async with turn:
            ids[key].add(await job_id(client, key))

    await asyncio.gather(*(send(key) for key in keys for _ in range(2)))
    assert {len(found) for found in ids.values()} == {1}
    assert len({min(found) for found in ids.values()}) == PAIRS
    assert await count_jobs(connection) == PAIRS


async def test_of_racing_requests_that_differ_one_is_refused(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    other = {"tool_name": "nothing"}
    for number in range(20):
        key = f"key-{number}"
        answers = await asyncio.gather(post(client, key), post(client, key, other))
        assert sorted(answer.status_code for answer in answers) == [200, 422]
    assert await count_jobs(connection) == 20


async def test_a_repeated_request_shows_how_far_the_job_has_come(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    first = await job_id(client, "a")
    await client.delete(f"/api/jobs/{first}")
    again = (await post(client, "a")).json()
    assert (again["job_id"], again["status"]) == (first, "cancelled")
    assert (await lookup.get_job(connection, UUID(first))).status is Status.CANCELLED


async def test_a_repeated_request_delivers_what_the_first_could_not(
    client: AsyncClient, connection: AsyncConnection, redis_url: str
) -> None:
    """Its API process died between its commit and its delivery, say."""
    first = await job_id(client, "a")
    async with redis_client(redis_url, 1) as redis:
        await redis.flushdb()
    await connection.execute(sa.text("ALTER TABLE jobs DISABLE TRIGGER jobs_legal_move"))
    await connection.execute(sa.text("UPDATE jobs SET status = 'pending', deliver_at = now()"))
    await connection.execute(sa.text("ALTER TABLE jobs ENABLE TRIGGER jobs_legal_move"))
    assert await job_id(client, "a") == first
    assert list(await deliveries(redis_url)) == [f"{first}:1"]


async def test_a_deferred_job_is_made_once_too(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    body = {**RUN, "delay": 60}
    first, second = await post(client, "a", body), await post(client, "a", body)
    assert first.json() == second.json()
    assert first.json()["next_attempt_at"]
    assert await count_jobs(connection) == 1


async def test_after_a_day_a_key_is_free_again(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    first = await job_id(client, "a")
    await connection.execute(
        sa.text("UPDATE idempotency_keys SET created_at = now() - interval '23 hours 59 minutes'")
    )
    assert await job_id(client, "a") == first
    await connection.execute(
        sa.text("UPDATE idempotency_keys SET created_at = now() - interval '24 hours 1 second'")
    )
    other = await job_id(client, "a", {"tool_name": "nothing"})
    assert other != first
    assert await job_id(client, "a", {"tool_name": "nothing"}) == other
