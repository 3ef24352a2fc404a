"""What a delivery alone costs, without rows and tools: our worker beside arq's own.

`python benchmarks/delivery.py` starts a Valkey of its own and prints a table and the same as JSON.
"""

import asyncio
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from arq.jobs import serialize_job

from service.config import BROKER_DATABASE
from service.embedded.servers import EmbeddedServers
from service.queue.broker import Broker
from service.queue.delivery import Delivery, to_json
from service.queue.waiting import BLOCK_SECONDS

WORKER = Path(__file__).with_name("delivery_worker.py")
JOBS = {"ours": 50_000, "arq": 1_000}
SAMPLES = {"ours": 300, "arq": 40}
IDLE_SECONDS = 15.0

_PAGE = 500

_Redis: Any = import_module("redis").Redis


def measure() -> dict[str, float]:
    """Return each figure under its name, ours and arq's; it takes about a minute and a half."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="data20-bench-") as folder:
        Path(folder).chmod(0o711)  # Root's servers run as another user.
        with EmbeddedServers(Path(folder), postgres=False) as servers:
            for whose in JOBS:
                measured = _measure(servers.redis_url, whose)
                figures |= {f"{what}, {whose}": figure for what, figure in measured.items()}
    return figures


def main() -> None:
    """Measure, and print."""
    figures = measure()
    width = max(map(len, figures))
    for what, figure in figures.items():
        print(f"{what:<{width}}  {figure:>9.2f}")
    print(json.dumps(figures))


def _measure(url: str, whose: str) -> dict[str, float]:
    one, memory, commands = _throughput(url, whose, workers=1)
    four, _, _ = _throughput(url, whose, workers=4)
    took, idle = _pick_up(url, whose)
    return {
        "no-op deliveries per second, 1 worker": one,
        "no-op deliveries per second, 4 workers": four,
        "Redis commands per delivery": commands,
        "Redis commands per second of an idle worker": idle,
        "pick-up p50, ms": statistics.median(took),
        "pick-up p99, ms": statistics.quantiles(took, n=100)[98],
        "memory of a worker, MB": memory,
    }


def _throughput(url: str, whose: str, *, workers: int) -> tuple[float, float, float]:
    """Return deliveries a second, a worker's megabytes, and commands per delivery."""
    jobs = JOBS[whose]
    with _Redis.from_url(url, db=BROKER_DATABASE) as redis:
        redis.flushdb()
        asyncio.run(_enqueue(url, jobs))
        before = _commands(redis)
        with _serving(url, whose, workers) as reports:
            while redis.zcard("tools"):
                time.sleep(0.25)
        commands = _commands(redis) - before
    seen = [report for report in reports if report["jobs"]]
    done = sum(report["jobs"] for report in seen)
    assert done == jobs, f"{done} of {jobs} deliveries were served"  # noqa: S101  # Else no figure is true.
    seconds = max(each["last"] for each in seen) - min(each["first"] for each in seen)
    return jobs / seconds, max(each["megabytes"] for each in seen), commands / jobs


def _pick_up(url: str, whose: str) -> tuple[list[float], float]:
    """Return how many ms each of some deliveries took, and an idle worker's commands a second."""
    with (
        _Redis.from_url(url, db=BROKER_DATABASE) as redis,
        _serving(url, whose, 1) as reports,
    ):
        time.sleep(BLOCK_SECONDS)  # What its connections say first is not idling.
        before = _commands(redis)
        time.sleep(IDLE_SECONDS)
        idle = (_commands(redis) - before) / IDLE_SECONDS
        asyncio.run(_enqueue_now_and_then(url, SAMPLES[whose]))
        while redis.zcard("tools"):
            time.sleep(0.1)
    return reports[0]["took_ms"], idle


async def _enqueue(url: str, jobs: int) -> None:
    broker = Broker(url, name="bench")
    payload = serialize_job("note", (0,), {}, None, 0, serializer=to_json)
    for first in range(0, jobs, _PAGE):
        await broker.deliver(
            [
                Delivery(f"job-{first + one}", "tools", first + one + 1, payload)
                for one in range(_PAGE)
            ]
        )
    await broker.close()


async def _enqueue_now_and_then(url: str, jobs: int) -> None:
    broker = Broker(url, name="bench")
    for _ in range(jobs):
        await asyncio.sleep(random.uniform(0.01, 0.05))  # noqa: S311  # Not a secret.
        await broker.arq.enqueue_job("note", time.monotonic_ns())
    await broker.close()


def _commands(redis: Any) -> int:  # noqa: ANN401  # redis-py leaves its types unknown.
    """Return how many commands were executed, those inside scripts too, but for our looking."""
    stats: Mapping[str, Mapping[str, int]] = redis.info("commandstats")
    ours = {"cmdstat_zcard", "cmdstat_info"}
    return sum(each["calls"] for name, each in stats.items() if name not in ours)


@contextmanager
def _serving(url: str, whose: str, workers: int) -> Generator[list[dict[str, Any]]]:
    """Run workers; what they saw is in the list afterwards."""
    reports: list[dict[str, Any]] = []
    processes = [
        subprocess.Popen(
            [sys.executable, str(WORKER), whose, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
            text=True,
        )
        for _ in range(workers)
    ]
    try:
        for process in processes:
            assert process.stdout is not None  # noqa: S101  # A pipe was asked for.
            process.stdout.readline()
        for process in processes:
            assert process.stdin is not None  # noqa: S101  # A pipe was asked for.
            process.stdin.write("start\n")
            process.stdin.flush()
        yield reports
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            output, _ = process.communicate(timeout=60)
            reports.append(json.loads(output.splitlines()[-1]))


if __name__ == "__main__":
    main()
