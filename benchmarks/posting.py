"""What somebody sees who posts jobs to the whole service: `python benchmarks/posting.py`."""

import asyncio
import statistics
import time
from datetime import datetime
from typing import Any

import httpx2 as httpx
from report import print_figures
from whole import whole_service

POSTS = 500
TOGETHER = 1_000
CLIENTS = 16
SAMPLES = 100
LATE = 10

_NO_OP = {"tool_name": "no_op"}
_FAILING = {"tool_name": "failing"}


def measure() -> dict[str, float]:
    """Return each figure under its name."""
    with whole_service() as url:
        return asyncio.run(_measure(url))


async def _measure(url: str) -> dict[str, float]:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
        ran = [await _run(client) for _ in range(SAMPLES)]
        late = await asyncio.gather(*(_lateness(client) for _ in range(LATE)))
        posts = [await _post_ms(client) for _ in range(POSTS)]
        rate = await _rate(client)
    waits = [_ms_between(job, "created_at", "started_at") for job in ran]
    return {
        "row made to claimed by an idle worker, p50 ms": statistics.median(waits),
        "row made to claimed by an idle worker, p99 ms": _p99(waits),
        "a no-op tool's process from start to end, p50 ms": statistics.median(
            job["duration"] * 1000 for job in ran
        ),
        "retry after its time, worst ms": max(late),
        "POST /api/run, p50 ms": statistics.median(posts),
        "POST /api/run, p99 ms": _p99(posts),
        f"POST /api/run per second, {CLIENTS} connections": rate,
    }


async def _run(client: httpx.AsyncClient) -> dict[str, Any]:
    """Run a no-op job by a worker that has nothing else to do."""
    return await _ended(client, await _post(client, _NO_OP))


async def _lateness(client: httpx.AsyncClient) -> float:
    """Return how many ms after its time a failed job is tried again."""
    job_id = await _post(client, _FAILING)
    due = await _due(client, job_id)
    again = await _ended(client, job_id)
    return (datetime.fromisoformat(again["started_at"]) - due).total_seconds() * 1000


async def _due(client: httpx.AsyncClient, job_id: str) -> datetime:
    """Return when the job will be due, as soon as it waits for a moment."""
    while True:
        job = (await client.get(f"/api/jobs/{job_id}")).json()
        if job["next_attempt_at"] is not None:
            return datetime.fromisoformat(job["next_attempt_at"])
        await asyncio.sleep(0.01)


async def _post(client: httpx.AsyncClient, body: dict[str, Any]) -> str:
    answer = (await client.post("/api/run", json=body)).raise_for_status()
    return answer.json()["job_id"]


async def _ended(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    while True:
        job = (await client.get(f"/api/jobs/{job_id}")).json()
        if job["status"] in {"completed", "failed", "cancelled"}:
            return job
        await asyncio.sleep(0.01)


async def _post_ms(client: httpx.AsyncClient) -> float:
    began = time.perf_counter()
    await _post(client, _NO_OP)
    return (time.perf_counter() - began) * 1000


async def _rate(client: httpx.AsyncClient) -> float:
    """Return how many posts a second are answered when several are under way."""
    numbers = iter(range(TOGETHER))

    async def one_after_another() -> None:
        for _ in numbers:
            await _post(client, _NO_OP)

    began = time.perf_counter()
    await asyncio.gather(*(one_after_another() for _ in range(CLIENTS)))
    return TOGETHER / (time.perf_counter() - began)


def _ms_between(job: dict[str, Any], first: str, second: str) -> float:
    before, after = (datetime.fromisoformat(job[each]) for each in (first, second))
    return (after - before).total_seconds() * 1000


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


if __name__ == "__main__":
    print_figures(measure())
