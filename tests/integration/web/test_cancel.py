"""`DELETE /api/jobs/{job_id}`: waiting jobs at once, running ones by their worker."""

from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncConnection

from service.queue import control, updates
from service.store import jobs, lookup
from service.store.states import Reason, Status
from tests.integration.store.making import FAILURE, claimed, job_in, transitions
from tests.integration.web.looking import deliveries, keys
from tests.integration.web.problems import problem_in
from tests.servers import redis_client


class Ear:
    """Hears what is published while it listens."""

    def __init__(self, subscription: Any) -> None:  # noqa: ANN401  # redis-py leaves it unknown.
        self._subscription = subscription

    async def next(self) -> tuple[str, dict[str, Any]]:
        """Return the channel and the content of the next message."""
        message = await self._subscription.get_message(timeout=5)
        assert message is not None, "Nothing was published"
        return message["channel"], orjson.loads(message["data"])


@pytest.fixture
async def ear(redis_url: str) -> AsyncGenerator[Ear]:
    """Give an ear on both channels."""
    async with redis_client(redis_url) as redis, redis.pubsub() as subscription:
        await subscription.subscribe(updates.CHANNEL, control.CHANNEL)
        for _ in range(2):
            assert (await subscription.get_message(timeout=5))["type"] == "subscribe"
        yield Ear(subscription)


async def test_a_waiting_job_is_cancelled_at_once(
    client: AsyncClient, connection: AsyncConnection, redis_url: str, ear: Ear
) -> None:
    """Its delivery is gone, other jobs' are not, and clients hear of it."""
    first, second = [
        (await client.post("/api/run", json={"tool_name": "nothing"})).json()["job_id"]
        for _ in range(2)
    ]
    answer = await client.delete(f"/api/jobs/{first}")
    assert answer.status_code == 200
    assert answer.json() == {
        "job_id": first,
        "status": "cancelled",
        "message": f"Job {first} cancelled",
    }
    job = await lookup.get_job(connection, UUID(first))
    assert (job.status, job.reason) == (Status.CANCELLED, Reason.CANCELLED)
    assert job.completed_at is not None
    assert await ear.next() == ("job_updates", {"job_id": first, "status": "cancelled"})
    assert list(await deliveries(redis_url)) == [f"{second}:1"]
    assert await keys(redis_url) == [f"arq:job:{second}:1", "tools"]


async def test_a_job_that_waits_for_its_retry_is_cancelled_at_once(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    job = await claimed(connection)
    await jobs.retry(connection, job, FAILURE)
    answer = await client.delete(f"/api/jobs/{job.id}?terminate=true")
    assert answer.json()["status"] == "cancelled"
    assert (await lookup.get_job(connection, job.id)).next_attempt_at is None


@pytest.mark.parametrize(("query", "terminates"), [("", False), ("?terminate=true", True)])
async def test_a_running_job_is_ended_by_its_worker(
    client: AsyncClient, connection: AsyncConnection, ear: Ear, query: str, *, terminates: bool
) -> None:
    """The wish is in the row, for a worker that does not hear the message."""
    running = await claimed(connection)
    answer = await client.delete(f"/api/jobs/{running.id}{query}")
    assert answer.status_code == 200
    assert answer.json() == {
        "job_id": str(running.id),
        "status": "running",
        "message": f"Job {running.id} is being stopped",
    }
    expected = {"cancel": str(running.id), "terminate": terminates}
    assert await ear.next() == ("data20:control", expected)
    job = await lookup.get_job(connection, running.id)
    assert job.cancel_requested_at is not None
    assert job.cancel_terminates is terminates


async def test_a_wish_can_only_become_stronger(
    client: AsyncClient, connection: AsyncConnection, ear: Ear
) -> None:
    running = await claimed(connection)
    wishes = [("?terminate=false", False), ("?terminate=true", True), ("?terminate=false", True)]
    for query, terminates in wishes:
        await client.delete(f"/api/jobs/{running.id}{query}")
        _, message = await ear.next()
        assert message["terminate"] is terminates


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
async def test_a_finished_job_cannot_be_cancelled(
    client: AsyncClient, connection: AsyncConnection, status: Status
) -> None:
    job = await job_in(connection, status)
    before = await transitions(connection, job)
    answer = await client.delete(f"/api/jobs/{job.id}")
    assert problem_in(answer, 409) == f"Job {job.id} is already {status}"
    assert await transitions(connection, job) == before


async def test_an_unknown_job_cannot_be_cancelled(client: AsyncClient, redis_url: str) -> None:
    """And leaves no trace that would poison its id."""
    job_id = uuid4()
    answer = await client.delete(f"/api/jobs/{job_id}")
    assert problem_in(answer, 404) == f"Job {job_id} not found"
    assert await keys(redis_url) == []


async def test_a_malformed_wish_changes_nothing(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    job = await job_in(connection, Status.QUEUED)
    problem_in(await client.delete(f"/api/jobs/{job.id}?terminate=maybe"), 422)
    assert (await lookup.get_job(connection, job.id)).status is Status.QUEUED
