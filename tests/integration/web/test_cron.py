"""`/api/cron` and `/api/statistics`."""

from datetime import UTC, datetime, timedelta

from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import cron_runs, statistics
from service.store.states import Status
from tests.integration.store.making import job_in, somebody

FUNCTIONS = {
    "cleanup": "maintenance",
    "statistics": "maintenance",
    "upkeep": "default",
    "health_check": "default",
}


async def test_the_timetable_is_shown_before_anything_ran(client: AsyncClient) -> None:
    answer = await client.get("/api/cron")
    assert answer.status_code == 200
    shown = answer.json()["functions"]
    assert {each["name"]: each["queue"] for each in shown} == FUNCTIONS
    now = datetime.now(UTC)
    for each in shown:
        assert each["last_run"] is None
        wait = datetime.fromisoformat(each["next_run_at"]) - now
        assert timedelta(seconds=-5) < wait <= timedelta(days=1)


async def test_the_last_run_is_shown_with_its_outcome(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    now = await cron_runs.read_clock(connection)
    for ago in (2, 1):
        slot = now - timedelta(seconds=ago)
        await cron_runs.take(connection, "upkeep", slot, following=now + timedelta(hours=1))
        run = await cron_runs.claim(connection, "upkeep", slot, somebody("worker@there"))
        assert run is not None
        await cron_runs.finish(connection, run, outcome={"workers": ago})
    answer = await client.get("/api/cron")
    [last] = [each["last_run"] for each in answer.json()["functions"] if each["name"] == "upkeep"]
    assert last["started_at"]
    assert last["finished_at"]
    del last["started_at"], last["finished_at"]
    assert last == {
        "slot": (now - timedelta(seconds=1)).isoformat(),
        "status": "done",
        "attempt": 1,
        "worker": "worker@there",
        "outcome": {"workers": 1},
        "error": None,
    }


async def test_the_statistics_are_those_last_computed(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    empty = await client.get("/api/statistics")
    assert empty.json() == {"percentiles_over_hours": 48.0, "tools": []}
    await job_in(connection, Status.COMPLETED)
    await statistics.update(connection)
    answer = await client.get("/api/statistics")
    [tool] = answer.json()["tools"]
    assert (tool["tool_name"], tool["runs"], tool["successes"]) == ("sleep", 1, 1)
    assert tool["duration_p95_seconds"] == 0.5
