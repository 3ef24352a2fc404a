"""No worker is there: the API runs the jobs itself, until one is."""

import time
from uuid import UUID

from service.config import QUEUES
from service.store import lookup, workers
from service.store.lookup import JobDetail
from service.store.records import Job
from service.store.states import Reason, Status
from tests.integration.jobs.processes import (
    PATIENCE_SECONDS,
    ApiProcess,
    api_process,
    worker_process,
)
from tests.integration.jobs.worlds import ENDLESS, GATED, QUICK, MakeWorld, World
from tests.integration.web.serving import REFUSING
from tests.servers import redis_client
from tests.waiting import until

NEVER = "3600"


async def _stands_in(api: ApiProcess) -> None:
    """Return when the API has seen that nobody else is there."""
    await until(
        lambda: '"event": "running jobs here"' in api.log,
        what="the API to stand in",
        within=PATIENCE_SECONDS,
    )


async def _reached(world: World, job_id: str, *statuses: Status) -> Job:
    async def reached() -> Job | None:
        job = (await _detail(world, job_id)).job
        return job if job.status in statuses else None

    found = await until(reached, what=f"{statuses}", within=PATIENCE_SECONDS)
    assert found is not None
    return found


async def _detail(world: World, job_id: str) -> JobDetail:
    async with world.context.database.connect() as connection:
        return await lookup.get_detail(connection, UUID(job_id))


async def test_a_job_runs_in_the_api_when_no_worker_is_there(world: World, redis_url: str) -> None:
    world.add_tool("quick", QUICK)
    async with api_process(world) as api:
        await _stands_in(api)
        answer = await api.post("quick")
        assert answer == {
            "job_id": answer["job_id"],
            "tool_name": "quick",
            "status": "pending",
            "message": "Tool quick started (local execution)",
        }
        done = await _reached(world, answer["job_id"], Status.COMPLETED)
        assert (done.attempt, done.fence) == (1, 1)
        moves = [each.data for each in await world.events(done) if each.kind == "status"]
        assert [each["move"] for each in moves] == ["create", "claim", "complete"]
        assert moves[1]["worker"].startswith("api@")
        assert (await api.client.get("/ready")).json()["workers"] == 0
        async with world.context.database.connect() as connection:
            [row] = await workers.all_workers(connection)
        assert (row.name, row.is_standby) == (moves[1]["worker"], True)
    async with redis_client(redis_url, 1) as redis:
        assert await redis.zcard("tools") == 0


async def test_a_job_that_was_delivered_and_waits_runs_too(world: World, redis_url: str) -> None:
    """Its delivery is taken back, so that it troubles no worker to come."""
    world.add_tool("quick", QUICK)
    async with api_process(world, DATA20_LOCAL_AFTER_SECONDS="3") as api:
        answer = await api.post("quick")
        assert answer["status"] == "queued"
        await _reached(world, answer["job_id"], Status.COMPLETED)
        async with redis_client(redis_url, 1) as redis:
            assert await redis.zcard("tools") == 0


async def test_so_many_run_at_a_time_and_the_others_in_their_order(world: World) -> None:
    """By priority, then by arrival, whatever their queue."""
    world.add_tool("gated", GATED)
    world.add_tool("quick", QUICK)
    gates = [world.folder / "first", world.folder / "second"]
    async with api_process(world) as api:
        await _stands_in(api)
        doors = [{"gate": str(each)} for each in gates]
        ids = [(await api.post("gated", parameters=each))["job_id"] for each in doors]
        for each in ids:
            await _reached(world, each, Status.RUNNING)
        wishes = [("maintenance", 5), ("tools", 5), ("default", 2), ("tools", 9)]
        waiting = [
            (await api.post("quick", queue=queue, priority=priority))["job_id"]
            for queue, priority in wishes
        ]
        assert [(await _detail(world, each)).job.status for each in waiting] == ["pending"] * 4
        gates[0].touch()
        done = [await _reached(world, each, Status.COMPLETED) for each in waiting]
        gates[1].touch()
        in_order = sorted(done, key=lambda job: job.started_at or job.created_at)
        assert [str(each.id) for each in in_order] == [waiting[each] for each in (2, 0, 1, 3)]


async def test_what_has_not_begun_goes_to_the_worker_that_comes(world: World) -> None:
    world.add_tool("gated", GATED)
    world.add_tool("quick", QUICK)
    gate = world.folder / "gate"
    async with api_process(world, DATA20_LOCAL_CONCURRENCY="1") as api:
        await _stands_in(api)
        begun = (await api.post("gated", parameters={"gate": str(gate)}))["job_id"]
        await _reached(world, begun, Status.RUNNING)
        ids = [(await api.post("quick"))["job_id"] for _ in range(10)]
        async with worker_process(world, DATA20_DISPATCH_SECONDS=NEVER):
            for each in ids:
                await _reached(world, each, Status.COMPLETED)
            assert {await _worker(world, each) for each in ids} == {"worker@tests"}
            answer = await api.post("quick")
            assert answer["status"] == "queued"
            await _reached(world, answer["job_id"], Status.COMPLETED)
            gate.touch()
            done = await _reached(world, begun, Status.COMPLETED)
    assert (done.attempt, done.fence) == (1, 1)


async def _worker(world: World, job_id: str) -> str:
    """Return who claimed the job first."""
    events = await world.events((await _detail(world, job_id)).job)
    return next(each.data["worker"] for each in events if each.data.get("move") == "claim")


async def test_a_queue_that_no_worker_serves_is_served_here(world: World) -> None:
    world.add_tool("quick", QUICK)
    async with worker_process(world, DATA20_QUEUES="tools") as worker:
        await worker.ready()
        async with api_process(world) as api:
            await _stands_in(api)
            answers = {each: await api.post("quick", queue=each) for each in QUEUES}
            assert [each["status"] for each in answers.values()] == ["queued", "pending", "pending"]
            for each in answers.values():
                await _reached(world, each["job_id"], Status.COMPLETED)
            by = [await _worker(world, each["job_id"]) for each in answers.values()]
            assert by[0] == "worker@tests"
            assert by[1] == by[2]
            assert by[1].startswith("api@")


async def test_a_local_job_is_cancelled_at_once_also_without_redis(
    make_world: MakeWorld,
) -> None:
    """The process that is asked is the one that runs it."""
    world = await make_world(redis_url=f"redis://{REFUSING}")
    world.add_tool("endless", ENDLESS)
    patient = {"DATA20_LEASE_SECONDS": "600", "DATA20_HEARTBEAT_SECONDS": "300"}
    async with api_process(world, **patient) as api:
        await _stands_in(api)
        job = await _started(world, api, "endless")
        asked_at = time.monotonic()
        assert (await api.client.delete(f"/api/jobs/{job.id}")).status_code == 200
        await _reached(world, str(job.id), Status.CANCELLED)
        assert time.monotonic() - asked_at < 5
        await until(lambda: not world.leftovers(job), what="nothing to be left")
    assert await world.lines(job) == ["started", "asked to stop"]


async def _started(world: World, api: ApiProcess, tool: str, **parameters: object) -> Job:
    """Return a job that runs in the API, and whose tool has said something."""
    answer = await api.post(tool, parameters=parameters)
    job = await _reached(world, answer["job_id"], Status.RUNNING)
    assert (job.worker or "").startswith("api@")
    await until(lambda: world.lines(job), what="the tool to say something", within=PATIENCE_SECONDS)
    return job


async def test_an_api_that_is_stopped_lets_its_job_finish(world: World) -> None:
    world.add_tool("gated", GATED)
    gate = world.folder / "gate"
    async with api_process(world) as api:
        await _stands_in(api)
        job = await _started(world, api, "gated", gate=str(gate))
        api.process.terminate()
        await _is_draining(world)
        gate.touch()
        assert await api.exit_code() == 0
        assert "Traceback" not in api.log
    done = await world.read(job)
    assert (done.status, done.attempt) == (Status.COMPLETED, 1)
    async with world.context.database.connect() as connection:
        assert await workers.all_workers(connection) == []
    assert world.leftovers(job) == []


async def _is_draining(world: World) -> None:
    async def is_draining() -> bool:
        async with world.context.database.connect() as connection:
            return any(each.is_draining for each in await workers.all_workers(connection))

    await until(is_draining, what="the API to drain", within=PATIENCE_SECONDS)


async def test_a_job_that_takes_too_long_is_handed_back_by_the_api_with_its_attempt(
    world: World,
) -> None:
    world.add_tool("endless", ENDLESS)
    async with api_process(world, DATA20_DRAIN_SECONDS="0.5") as api:
        await _stands_in(api)
        job = await _started(world, api, "endless")
        api.process.terminate()
        assert await api.exit_code() == 0
        assert "Traceback" not in api.log
    back = await world.read(job)
    assert (back.status, back.reason) == (Status.QUEUED, Reason.SHUTDOWN)
    assert (back.attempt, back.fence, back.losses) == (0, 1, 0)
    assert world.leftovers(job) == []


async def test_a_second_signal_has_the_api_hand_back_at_once(world: World) -> None:
    world.add_tool("endless", ENDLESS)
    async with api_process(world, DATA20_DRAIN_SECONDS=NEVER) as api:
        await _stands_in(api)
        job = await _started(world, api, "endless")
        api.process.terminate()
        await _is_draining(world)
        api.process.terminate()
        assert await api.exit_code() == 0
    back = await world.read(job)
    assert (back.status, back.attempt, back.losses) == (Status.QUEUED, 0, 0)


async def test_the_job_of_a_killed_api_runs_again_as_soon_as_that_is_back(world: World) -> None:
    """Its tool ended with it; nobody has to wait for the lease."""
    world.add_tool("endless", ENDLESS)
    patient = {"DATA20_LEASE_SECONDS": "600", "DATA20_HEARTBEAT_SECONDS": "300"}
    async with api_process(world, **patient) as api:
        await _stands_in(api)
        job = await _started(world, api, "endless")
        api.process.kill()
        await api.exit_code()
        await until(lambda: not _processes(world, job), what="the tool's end", within=2.0)
    async with api_process(world, **patient):

        async def runs_again() -> bool:
            return (await world.read(job)).fence == 2

        await until(runs_again, what="the second claim", within=PATIENCE_SECONDS)
        again = await world.read(job)
        assert (again.status, again.losses, again.attempt) == (Status.RUNNING, 1, 1)


def _processes(world: World, job: Job) -> list[object]:
    return [each for each in world.leftovers(job) if isinstance(each, int)]


async def test_the_job_of_a_killed_api_is_rescued_by_a_worker_after_the_lease(
    world: World,
) -> None:
    world.add_tool("endless", ENDLESS)
    short = {"DATA20_LEASE_SECONDS": "2", "DATA20_HEARTBEAT_SECONDS": "0.5"}
    async with api_process(world, **short) as api:
        await _stands_in(api)
        job = await _started(world, api, "endless")
        async with worker_process(world, DATA20_DISPATCH_SECONDS="0.5", **short) as worker:
            await worker.ready()
            api.process.kill()

            async def is_rescued() -> bool:
                return (await world.read(job)).worker == "worker@tests"

            await until(is_rescued, what="the worker to take it", within=PATIENCE_SECONDS)
    assert (await world.read(job)).losses == 1


async def test_local_execution_can_be_turned_off(world: World) -> None:
    world.add_tool("quick", QUICK)
    async with api_process(world, DATA20_LOCAL_CONCURRENCY="0") as api:
        assert (await api.post("quick"))["status"] == "queued"
        async with world.context.database.connect() as connection:
            assert await workers.all_workers(connection) == []
