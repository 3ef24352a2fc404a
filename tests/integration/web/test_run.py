"""`POST /api/run` when all is well: the answer, the row, the event, the delivery."""

from uuid import UUID

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncConnection

from service.config import BROKER_DATABASE
from service.store import events, lookup
from service.store.states import Status
from tests.integration.store.making import transitions
from tests.integration.web.looking import deliveries
from tests.servers import redis_client


async def test_the_answer_has_the_four_keys_clients_know(client: AsyncClient) -> None:
    answer = await client.post("/api/run", json={"tool_name": "echo", "parameters": {"text": "a"}})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    content = answer.json()
    assert content == {
        "job_id": str(UUID(content["job_id"])),
        "tool_name": "echo",
        "status": "queued",
        "message": f"Tool echo queued for execution (Celery task: {content['job_id']})",
    }


async def test_parameters_may_be_left_out(client: AsyncClient) -> None:
    answer = await client.post("/api/run", json={"tool_name": "nothing"})
    assert answer.status_code == 200


async def test_the_job_is_written_down_with_its_history(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    answer = await client.post(
        "/api/run", json={"tool_name": "echo", "parameters": {"text": "ä\n", "times": 2.0}}
    )
    job = await lookup.get_job(connection, UUID(answer.json()["job_id"]))
    assert job.status is Status.QUEUED
    assert job.tool_name == "echo"
    assert dict(job.parameters) == {"text": "ä\n", "times": 2}
    assert (job.queue, job.priority, job.max_attempts) == ("tools", 5, 4)
    assert (job.soft_limit_seconds, job.hard_limit_seconds) == (3300, 3600)
    assert await transitions(connection, job) == [(None, "pending"), ("pending", "queued")]
    assert [event.seq for event in await events.read(connection, job.id)] == [1, 2]


async def test_the_delivery_waits_where_arq_looks(client: AsyncClient, redis_url: str) -> None:
    """Its form is arq's, as JSON: function, arguments, try and moment under one-letter names."""
    answer = await client.post("/api/run", json={"tool_name": "nothing"})
    job_id = answer.json()["job_id"]
    waiting = await deliveries(redis_url)
    assert list(waiting) == [f"{job_id}:1"]
    payload = waiting[f"{job_id}:1"]
    assert payload.keys() == {"t", "f", "a", "k", "et"}
    assert (payload["f"], payload["a"], payload["k"]) == ("run_tool", [job_id], {})
    async with redis_client(redis_url, BROKER_DATABASE) as redis:
        assert await redis.zscore("tools", f"{job_id}:1") is not None


async def test_jobs_wait_in_the_order_they_came(client: AsyncClient, redis_url: str) -> None:
    answers = [await client.post("/api/run", json={"tool_name": "nothing"}) for _ in range(5)]
    came = [f"{answer.json()['job_id']}:1" for answer in answers]
    assert list(await deliveries(redis_url)) == came


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "application/x+json"])
async def test_json_may_be_announced_in_other_words(client: AsyncClient, media_type: str) -> None:
    answer = await client.post(
        "/api/run", content=b'{"tool_name": "nothing"}', headers={"Content-Type": media_type}
    )
    assert answer.status_code == 200
