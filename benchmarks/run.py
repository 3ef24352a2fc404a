"""Our figures, on a whole service of its own: `make bench`.

It starts everything as `data20 up` does, in a temporary folder, and prints a table and the same as
JSON. Machines differ: compare figures of one run on one machine, and quote medians.
"""

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx

POSTS = 200
JOBS = 100
NO_OP = {"tool_name": "no_op"}


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory(prefix="data20-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # Root's servers run as another user.
        (folder / "tools").mkdir()
        (folder / "tools" / "no_op.py").write_text('"""Do nothing."""\n')
        with _service(folder) as url:
            figures = asyncio.run(_measure(url))
    width = max(map(len, figures))
    for what, figure in figures.items():
        print(f"{what:<{width}}  {figure:>9.2f}")
    print(json.dumps(figures))


@contextmanager
def _service(folder: Path) -> Generator[str]:
    """Run `data20 up` in *folder*, as a user does, and give its address."""
    own = {"DATA20_TOOLS_DIR": "tools", "DATA20_VAR_DIR": "var", "DATA20_PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", "service", "up"],
        cwd=folder,
        env={**os.environ, **own, "PYTHONPATH": str(Path(__file__).parent.parent)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101  # A pipe was asked for.
        try:
            yield next(line.split()[-1] for line in process.stdout if "->  open" in line)
        finally:
            process.send_signal(signal.SIGINT)


async def _measure(url: str) -> dict[str, float]:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
        waits = [_wait(job) for _ in range(20) for job in await _run_all(client, 1)]
        began = time.perf_counter()
        jobs = await _run_all(client, JOBS)
        seconds = time.perf_counter() - began
        posts = await _posts(client)
    return {
        "POST /api/run, p50 ms": statistics.median(posts),
        "POST /api/run, p99 ms": statistics.quantiles(posts, n=100)[98],
        "accepted to claimed by an idle worker, p50 ms": statistics.median(waits),
        "a no-op tool from start to end, p50 ms": statistics.median(
            job["duration"] * 1000 for job in jobs
        ),
        "no-op tools per second, 4 at a time": JOBS / seconds,
    }


async def _run_all(client: httpx.AsyncClient, count: int) -> list[dict[str, Any]]:
    """Run *count* no-op jobs and return them, the first first."""
    asked = [(await client.post("/api/run", json=NO_OP)).json()["job_id"] for _ in range(count)]
    unended = "/api/jobs?status=pending,queued,running&limit=1"
    while (await client.get(unended)).json()["jobs"]:  # noqa: ASYNC110  # Another process.
        await asyncio.sleep(0.05)
    return [(await client.get(f"/api/jobs/{job_id}")).json() for job_id in asked]


async def _posts(client: httpx.AsyncClient) -> list[float]:
    times: list[float] = []
    for _ in range(POSTS):
        began = time.perf_counter()
        (await client.post("/api/run", json=NO_OP)).raise_for_status()
        times.append((time.perf_counter() - began) * 1000)
    return times


def _wait(job: dict[str, Any]) -> float:
    """Return the milliseconds between a job's row and its claim."""
    created_at, started_at = (
        datetime.fromisoformat(job[moment]) for moment in ("created_at", "started_at")
    )
    return (started_at - created_at).total_seconds() * 1000


if __name__ == "__main__":
    main()
