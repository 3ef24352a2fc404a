"""A short run of the driver: a thousand jobs, every kind of fault at least five times."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import psutil
import pytest

from tests.chaos.plan import Fault, make_plan
from tests.system.stacks import CHECKOUT, is_alive, programs_in
from tests.waiting import until

COMMAND = (sys.executable, "-m", "tests.chaos")
JOBS = 1000
EACH = 5


@pytest.mark.timeout(600)
async def test_a_thousand_jobs_live_through_every_fault(tmp_path: Path) -> None:
    """None is lost, stuck, ended twice or run twice at a time, and none is charged an attempt."""
    figures = tmp_path / "figures.json"
    options = ("--jobs", str(JOBS), "--seed", "7", "--each", str(EACH), "--json", str(figures))
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *options, cwd=CHECKOUT, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:  # The test itself was given up.
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode()
    seen = json.loads(figures.read_text())
    assert seen["violations"] == []
    assert seen["jobs"] >= JOBS
    assert {fault for fault in Fault if seen["faults"].get(fault, 0) < EACH} == set()
    assert [seen[name] for name in ("lost", "stuck", "double", "overlapping")] == [0, 0, 0, 0]
    assert seen["attempts_charged"] == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_run_that_is_broken_off_leaves_no_process(
    tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "run"
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "--jobs", "100", "--keep", str(folder)),
        cwd=CHECKOUT,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(lambda: list(folder.glob("ticks/*")), what="a job to run", within=60)
        family = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.send_signal(number)
        await process.wait()
    await until(
        lambda: not programs_in(folder) and not any(is_alive(each) for each in family),
        what="every process to be gone",
        within=30,
    )


def test_one_seed_makes_one_plan() -> None:
    """Another makes another; each kind of fault is in it as often as was asked for."""
    plan = make_plan(7, jobs=50, seconds=30, each=EACH)
    assert plan == make_plan(7, jobs=50, seconds=30, each=EACH)
    assert plan != make_plan(8, jobs=50, seconds=30, each=EACH)
    assert {fault: [step.fault for step in plan.steps].count(fault) for fault in Fault} == (
        dict.fromkeys(Fault, EACH)
    )
    assert all(0 <= each.at_seconds <= 30 for each in (*plan.steps, *plan.postings))
