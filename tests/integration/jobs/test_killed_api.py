"""The API is killed on the way from a request to its answer, and the client asks once more."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import sqlalchemy as sa
from httpx2 import HTTPError

from service.queue.delivery import delivery_id
from service.store import lookup
from service.store.records import Job
from service.store.states import Status
from tests.chaos.lines import Line
from tests.integration.jobs.processes import ApiProcess, api_process, worker_process
from tests.integration.jobs.queues import deliveries
from tests.integration.jobs.worlds import QUICK, World
from tests.waiting import until

MOST_TRIES = 10
"""For what has to be hit within the half second that Redis is given."""


@asynccontextmanager
async def delaying(world: World, event: str) -> AsyncGenerator[None]:
    """Let every INSERT or UPDATE of a job take four seconds."""
    async with world.context.database.connect() as connection:
        await connection.execute(
            sa.text(
                "CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN PERFORM pg_sleep(4); RETURN NEW; END $$"
            )
        )
        await connection.execute(
            sa.text(
                f"CREATE TRIGGER take_long BEFORE {event} ON jobs"
                " FOR EACH ROW EXECUTE FUNCTION take_long()"
            )
        )
        try:
            yield
        finally:
            await until(lambda: _nobody_sleeps(world), what="the slow statement to end")
            await connection.execute(sa.text("DROP FUNCTION take_long CASCADE"))


def accepting_api(world: World, redis_url: str) -> AbstractAsyncContextManager[ApiProcess]:
    """Start an API that runs no jobs itself, so that what was posted stays where it was left."""
    return api_process(world, REDIS_URL=redis_url, DATA20_LOCAL_CONCURRENCY="0")


async def ask(api: ApiProcess, key: str) -> str | None:
    """Ask for a job of the tool `quick`; return its id, or None when no answer came."""
    body = {"tool_name": "quick"}
    try:
        answer = await api.client.post("/api/run", json=body, headers={"Idempotency-Key": key})
    except HTTPError:
        return None
    assert answer.status_code == 200, answer.text
    return answer.json()["job_id"]


def kill(api: ApiProcess) -> None:
    """End it as the kernel ends what has no memory left."""
    api.process.kill()
    api.process.wait()


async def _sleepers(world: World) -> int:
    async with world.context.database.connect() as connection:
        found = await connection.execute(
            sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        )
        return found.scalar_one()


async def _nobody_sleeps(world: World) -> bool:
    return await _sleepers(world) == 0


async def _jobs(world: World) -> list[Job]:
    async with world.context.database.connect() as connection:
        return [detail.job for detail in await lookup.list_jobs(connection)]


async def test_killed_before_its_commit_it_leaves_nothing(world: World, redis_url: str) -> None:
    """The client asks again with the same key and gets the one job there is."""
    world.add_tool("quick", QUICK)
    async with accepting_api(world, redis_url) as api, delaying(world, "INSERT"):
        asking = asyncio.create_task(ask(api, "a"))
        await until(lambda: _sleepers(world), what="the row to be on its way", within=30)
        kill(api)
        assert await asking is None
    assert await _jobs(world) == []
    assert await deliveries(redis_url) == {}
    async with accepting_api(world, redis_url) as api:
        job_id = await ask(api, "a")
    [job] = await _jobs(world)
    assert str(job.id) == job_id


async def test_killed_between_commit_and_delivery_it_leaves_a_job_that_runs(
    world: World, redis_url: str
) -> None:
    """Within ten seconds, and asked again with the same key it is the same job."""
    world.add_tool("quick", QUICK)
    line = Line(Path(urlsplit(redis_url).path))
    await line.open()
    try:
        killed, key = await _kill_before_delivery(world, line, redis_url)
    finally:
        line.close()
    assert killed.status is Status.PENDING
    assert await deliveries(redis_url) == {}
    async with worker_process(world) as worker:
        await worker.ready()

        async def has_ended() -> bool:
            return (await world.read(killed)).status is Status.COMPLETED

        await until(has_ended, what="the job to end", within=10)
        async with accepting_api(world, redis_url) as api:
            assert await ask(api, key) == str(killed.id)
    assert [job.id for job in await _jobs(world)] == [killed.id]


async def _kill_before_delivery(world: World, line: Line, redis_url: str) -> tuple[Job, str]:
    """Return the job that an API left, and the key with which it was asked for."""
    for _ in range(MOST_TRIES):
        key = str(uuid4())
        async with accepting_api(world, line.leads_to(redis_url)) as api:
            line.freeze()
            asking = asyncio.create_task(ask(api, key))
            [job] = await until(lambda: _jobs(world), what="the row", within=30)
            kill(api)
            line.thaw()
            if await asking is None:
                return job, key
        async with world.context.database.connect() as connection:
            await connection.execute(sa.text("DELETE FROM jobs"))
    raise AssertionError("the API always answered before it could be killed")


async def test_killed_between_delivery_and_answer_it_leaves_one_job(
    world: World, redis_url: str
) -> None:
    world.add_tool("quick", QUICK)
    async with accepting_api(world, redis_url) as api, delaying(world, "UPDATE"):
        asking = asyncio.create_task(ask(api, "a"))
        await until(lambda: deliveries(redis_url), what="the delivery", within=30)
        kill(api)
        assert await asking is None
    [job] = await _jobs(world)
    assert list(await deliveries(redis_url)) == [delivery_id(job)]
    async with accepting_api(world, redis_url) as api:
        assert await ask(api, "a") == str(job.id)
    assert list(await deliveries(redis_url)) == [delivery_id(job)]
    done = await world.run(job)
    assert (done.status, done.fence) == (Status.COMPLETED, 1)
    assert [each.id for each in await _jobs(world)] == [job.id]
