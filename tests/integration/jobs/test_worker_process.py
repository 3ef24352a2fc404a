"""The worker as a process: how it starts, how it is stopped, and what a crash leaves."""

import json
import signal
from dataclasses import replace
from uuid import uuid4

import pytest
from arq.connections import RedisSettings, create_pool

from service.store import workers
from service.store.records import Job
from service.store.states import Reason, Status
from tests.integration.jobs.processes import (
    ARQ_WORKER,
    DATA20_WORKER,
    PATIENCE_SECONDS,
    WorkerProcess,
    post,
    worker_process,
)
from tests.integration.jobs.worlds import ENDLESS, GATED, QUICK, World
from tests.waiting import until

WRONG_SETTING = 2
"""The exit code of a command that was not told what it needs."""


async def _until_it_says(world: World, job: Job) -> None:
    await until(lambda: world.lines(job), what="the tool to say something", within=PATIENCE_SECONDS)


async def _until_ended(world: World, job: Job) -> Job:
    async def ended() -> Job | None:
        now = await world.read(job)
        return now if now.status.is_final else None

    found = await until(ended, what="the job to end", within=PATIENCE_SECONDS)
    assert found is not None
    return found


async def _start_job(world: World, source: str, **parameters: str) -> Job:
    world.add_tool("tool", source)
    job = await world.submit("tool", parameters, max_attempts=1)
    await post(world, job)
    await _until_it_says(world, job)
    return job


async def _check_signed_off(worker: WorkerProcess) -> None:
    async with worker.world.context.database.connect() as connection:
        assert await workers.all_workers(connection) == []
    assert "Traceback" not in worker.log


async def test_a_worker_that_is_stopped_lets_its_job_finish(world: World) -> None:
    gate = world.folder / "gate"
    async with worker_process(world) as worker:
        job = await _start_job(world, GATED, gate=str(gate))
        worker.process.terminate()
        await worker.draining()
        gate.touch()
        assert await worker.exit_code() == 0
        await _check_signed_off(worker)
    done = await world.read(job)
    assert (done.status, done.attempt) == (Status.COMPLETED, 1)
    assert world.leftovers(job) == []


async def test_a_job_that_takes_too_long_is_handed_back_with_its_attempt(world: World) -> None:
    async with worker_process(world, DATA20_DRAIN_SECONDS="1") as worker:
        job = await _start_job(world, ENDLESS)
        worker.process.terminate()
        assert await worker.exit_code() == 0
        await _check_signed_off(worker)
    await _check_handed_back(world, job)


async def test_a_second_signal_hands_back_at_once(world: World) -> None:
    async with worker_process(world, DATA20_DRAIN_SECONDS="3600") as worker:
        job = await _start_job(world, ENDLESS)
        worker.process.terminate()
        await worker.draining()
        worker.process.send_signal(signal.SIGINT)
        assert await worker.exit_code() == 0
        await _check_signed_off(worker)
    await _check_handed_back(world, job)


async def _check_handed_back(world: World, job: Job) -> None:
    """Its tool was asked to stop, and nothing is held against it."""
    back = await world.read(job)
    assert (back.status, back.reason) == (Status.QUEUED, Reason.SHUTDOWN)
    assert (back.attempt, back.fence, back.losses) == (0, 1, 0)
    assert await world.lines(job) == ["started", "asked to stop"]
    assert world.leftovers(job) == []


async def test_arqs_own_command_starts_the_same_worker(world: World) -> None:
    world.add_tool("quick", QUICK)
    async with worker_process(world, ARQ_WORKER) as worker:
        row = await worker.ready()
        assert row.concurrency == 4
        job = await world.submit("quick")
        await post(world, job)
        assert (await _until_ended(world, job)).status is Status.COMPLETED
        worker.process.terminate()
        assert await worker.exit_code() == 0
        await _check_signed_off(worker)
        assert '"event": "worker ready"' in worker.log


async def test_a_job_enqueued_by_arqs_own_client_runs(world: World, redis_url: str) -> None:
    """Another program that knows arq, and that deliveries are JSON, needs nothing of ours."""
    world.add_tool("quick", QUICK)
    async with worker_process(world, DATA20_DISPATCH_SECONDS="3600") as worker:
        await worker.ready()
        job = await world.submit("quick")
        stock = await create_pool(
            RedisSettings.from_dsn(f"{redis_url}?db=1"),
            job_serializer=lambda value: json.dumps(value).encode(),
        )
        assert await stock.enqueue_job("run_tool", str(job.id), _queue_name="tools") is not None
        await stock.aclose(close_connection_pool=True)
        assert (await _until_ended(world, job)).status is Status.COMPLETED


async def test_a_second_worker_of_one_name_says_why_it_does_not_start(world: World) -> None:
    async with worker_process(world) as first:
        row = await first.ready()
        async with worker_process(world) as second:
            assert await second.exit_code() == 1
            [line] = [line for line in second.log.splitlines() if line.startswith("data20: ")]
            assert f"A live worker is called worker@tests (process {row.pid} on " in line
            assert "Traceback" not in second.log
        assert await first.row() == replace(row, lease_until=(await first.ready()).lease_until)


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
async def test_a_missing_setting_is_named(world: World, name: str) -> None:
    async with worker_process(world, DATA20_WORKER, **{name: ""}) as worker:
        assert await worker.exit_code() == WRONG_SETTING
        assert name in worker.log
        assert "Traceback" not in worker.log


async def test_a_wrong_setting_is_named(world: World) -> None:
    async with worker_process(world, DATA20_CONCURRENCY="many") as worker:
        assert await worker.exit_code() == WRONG_SETTING
        assert "DATA20_CONCURRENCY" in worker.log
        assert "Traceback" not in worker.log


async def test_the_tool_of_a_killed_worker_is_gone_and_its_successor_runs_the_job_again(
    world: World,
) -> None:
    """At once, although the lease would run for a minute and the next round come in an hour."""
    world.add_tool("tool", ENDLESS)
    patient = {
        "DATA20_LEASE_SECONDS": "60",
        "DATA20_HEARTBEAT_SECONDS": "30",
        "DATA20_DISPATCH_SECONDS": "3600",
    }
    async with worker_process(world, **patient) as worker:
        job = await _start_job(world, ENDLESS)
        assert world.leftovers(job) != []
        worker.process.kill()
        await worker.exit_code()
        await until(lambda: not _processes(world, job), what="the tool's end", within=1.0)

    async def is_claimed_again() -> bool:
        return (await world.read(job)).fence == 2

    async with worker_process(world, **patient) as worker:
        await worker.ready()
        await until(is_claimed_again, what="the second claim", within=3.0)
        again = await world.read(job)
        assert (again.status, again.losses, again.attempt) == (Status.RUNNING, 1, 1)


def _processes(world: World, job: Job) -> list[object]:
    return [each for each in world.leftovers(job) if isinstance(each, int)]


async def test_a_worker_whose_name_was_taken_while_it_slept_ends(world: World) -> None:
    """It has no lease, so its tool must not run on: somebody else may have the job."""
    short = {"DATA20_LEASE_SECONDS": "1", "DATA20_HEARTBEAT_SECONDS": "0.4"}
    async with worker_process(world, **short) as worker:
        job = await _start_job(world, ENDLESS)
        worker.process.send_signal(signal.SIGSTOP)

        async def is_late() -> bool:
            row = await worker.row()
            return row is not None and not row.is_alive

        await until(is_late, what="the lease to run out")
        successor = replace(world.context.identity, id=uuid4(), host="another-host")
        async with world.context.database.connect() as connection:
            assert await workers.register(connection, successor, lease_seconds=600.0)
        worker.process.send_signal(signal.SIGCONT)
        await worker.exit_code()
        assert '"event": "worker replaced"' in worker.log
    assert _processes(world, job) == []
    async with world.context.database.connect() as connection:
        assert [each.id for each in await workers.all_workers(connection)] == [successor.id]
