"""`POST /api/run` with more than a tool and its parameters: limits, retries, order, time."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import lookup
from service.store.records import Job
from service.store.states import Status
from tests.integration.queue.listening import listening
from tests.integration.store.making import transitions
from tests.integration.web.looking import count_jobs, deliveries
from tests.integration.web.problems import faults_in
from tests.waiting import until


async def ask(client: AsyncClient, **options: object) -> dict[str, Any]:
    """Return the answer to a request that must be accepted."""
    answer = await client.post("/api/run", json={"tool_name": "nothing", **options})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def made(client: AsyncClient, connection: AsyncConnection, **options: object) -> Job:
    """Return the job of a request that must be accepted."""
    answer = await ask(client, **options)
    return await lookup.get_job(connection, UUID(answer["job_id"]))


async def test_what_is_asked_for_stands_in_the_job(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    job = await made(
        client,
        connection,
        soft_time_limit=10,
        time_limit=20.5,
        max_retries=0,
        retry_delay=0.5,
        priority=1,
        queue="maintenance",
    )
    assert (job.soft_limit_seconds, job.hard_limit_seconds) == (10, 20.5)
    assert (job.max_attempts, job.retry_delay_seconds) == (1, 0.5)
    assert (job.priority, job.queue) == (1, "maintenance")


async def test_null_leaves_an_option_to_the_service(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    names = ("soft_time_limit", "time_limit", "max_retries", "retry_delay", "priority", "queue")
    job = await made(client, connection, **dict.fromkeys((*names, "delay", "run_at")))
    assert (job.soft_limit_seconds, job.hard_limit_seconds) == (3300, 3600)
    assert (job.priority, job.queue, job.max_attempts) == (5, "tools", 4)


WRONG: Sequence[tuple[str, Sequence[object]]] = [
    ("soft_time_limit", [0, -1, "10", True, [], 3601]),
    ("time_limit", [0, 0.5, "10", False, {}, 3601, 1e300]),
    ("max_retries", [-1, 101, 1.5, "1", True]),
    ("retry_delay", [-0.1, "1", True, 1e10]),
    ("priority", [0, 11, 1.5, "1", True]),
    ("queue", ["", "other", "TOOLS", 1, ["tools"]]),
    ("delay", [-1, "1", True, 1e10]),
    (
        "run_at",
        [
            "",
            "soon",
            0,
            1764000000,
            "1764000000",
            True,
            "2030-01-01",
            "2030-01-01T00:00:00",
            "2030-13-01T00:00:00Z",
            "0001-01-01T00:00:00+23:00",
            "9999-12-31T23:59:59-23:00",
            "2999-01-01T00:00:00Z",
        ],
    ),
]


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG for value in values]
)
async def test_a_wrong_value_is_refused_by_name(
    client: AsyncClient, name: str, value: object
) -> None:
    answer = await client.post("/api/run", json={"tool_name": "nothing", name: value})
    for fault in faults_in(answer):
        assert fault["loc"] == ["body", name]
        assert fault["msg"].startswith(f"{name}: ")


@pytest.mark.usefixtures("nothing_written")
async def test_all_that_breaks_a_rule_is_told_at_once(client: AsyncClient) -> None:
    body = {
        "tool_name": "nothing",
        "time_limit": 4000,
        "soft_time_limit": 5000,
        "delay": 1,
        "run_at": "2026-01-01T00:00:00Z",
    }
    faults = faults_in(await client.post("/api/run", json=body))
    assert [(fault["loc"][1], fault["type"]) for fault in faults] == [
        ("time_limit", "maximum"),
        ("soft_time_limit", "maximum"),
        ("run_at", "conflict"),
    ]


async def test_a_deferred_job_is_queued_and_says_when_it_starts(
    client: AsyncClient, connection: AsyncConnection, redis_url: str
) -> None:
    answer = await ask(client, delay=60)
    job = await lookup.get_job(connection, UUID(answer["job_id"]))
    assert (answer["status"], job.status) == ("queued", Status.QUEUED)
    assert job.next_attempt_at == job.created_at + timedelta(seconds=60)
    assert datetime.fromisoformat(answer["next_attempt_at"]) == job.next_attempt_at
    assert answer["next_attempt_at"] in answer["message"]
    shown = (await client.get(f"/api/jobs/{job.id}")).json()
    assert shown["next_attempt_at"] == answer["next_attempt_at"]
    assert await transitions(connection, job) == [(None, "pending"), ("pending", "queued")]
    assert await deliveries(redis_url) == {}


async def test_a_moment_is_meant_in_its_own_offset(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    there = datetime.now(timezone(timedelta(hours=-7))).replace(microsecond=0)
    at = there + timedelta(hours=1)
    job = await made(client, connection, run_at=at.isoformat())
    assert job.next_attempt_at == at


@pytest.mark.parametrize(
    "options",
    [{"delay": 0}, {"run_at": "2001-01-01T00:00:00Z"}, {"run_at": "20010101T000000+0100"}],
)
async def test_the_past_is_now(
    client: AsyncClient, connection: AsyncConnection, redis_url: str, options: dict[str, object]
) -> None:
    answer = await ask(client, **options)
    assert answer.keys() == {"job_id", "tool_name", "status", "message"}
    assert list(await deliveries(redis_url)) == [f"{answer['job_id']}:1"]
    job = await lookup.get_job(connection, UUID(answer["job_id"]))
    assert job.next_attempt_at is None


async def test_dispatchers_are_told_of_a_deferred_job(client: AsyncClient, redis_url: str) -> None:
    """In seconds from now: the clocks of two hosts may differ."""
    async with listening(redis_url, "data20:control") as heard:
        await ask(client, delay=0.7)
        await until(lambda: heard, what="the nudge")
        at = datetime.now(UTC) + timedelta(seconds=30)
        await ask(client, run_at=at.isoformat())
        await until(lambda: len(heard) == 2, what="the second nudge")
    assert heard[0] == {"due_in": 0.7}
    assert 0 < heard[1]["due_in"] <= 30


async def test_a_deferred_job_can_be_cancelled(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    answer = await ask(client, delay=60)
    cancelled = await client.delete(f"/api/jobs/{answer['job_id']}")
    assert cancelled.json()["status"] == "cancelled"
    job = await lookup.get_job(connection, UUID(answer["job_id"]))
    assert job.next_attempt_at is None


async def test_priorities_order_a_queue(client: AsyncClient, redis_url: str) -> None:
    given = [5, 10, 1, 5, 1]
    answers = [await ask(client, priority=priority) for priority in given]
    expected = [answers[at]["job_id"] for at in (2, 4, 0, 3, 1)]
    assert list(await deliveries(redis_url)) == [f"{job_id}:1" for job_id in expected]


async def test_many_deferred_at_once_are_all_kept(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    await asyncio.gather(*(ask(client, delay=60) for _ in range(20)))
    assert await count_jobs(connection) == 20
