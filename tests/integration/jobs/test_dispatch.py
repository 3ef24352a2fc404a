"""What is late is delivered: whatever should be in Redis and is not."""

import pytest
import sqlalchemy as sa

from service.config import BROKER_DATABASE, QUEUES
from service.errors import BrokerUnavailableError
from service.jobs.dispatch import dispatch
from service.queue.enqueue import enqueue
from service.store import jobs
from service.store.records import Job
from service.store.states import Status
from tests.integration.jobs.worlds import QUICK, MakeWorld, World
from tests.integration.store.making import FAILURE, job_in
from tests.servers import redis_client

AT_ONCE = 0.001
"""Seconds after which the dispatcher of these tests calls a job late."""


@pytest.fixture
async def hasty(make_world: MakeWorld) -> World:
    """Give a worker to which everything that waits is late."""
    return await make_world(dispatch_seconds=AT_ONCE)


async def _deliveries(redis_url: str, queue: str = "tools") -> dict[str, float]:
    """Return what waits in the queue, with its place."""
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        return dict(await client.zrange(queue, 0, -1, withscores=True))


async def _empty(redis_url: str) -> None:
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        await client.flushall()


def _id(job: Job) -> str:
    return f"{job.id}:{job.fence + 1}"


async def test_a_job_that_nobody_enqueued_is_delivered(hasty: World, redis_url: str) -> None:
    """Its API process died between its commit and its delivery."""
    job = await hasty.submit("quick")
    assert await dispatch(hasty.context) == 1
    assert list(await _deliveries(redis_url)) == [_id(job)]
    assert (await hasty.read(job)).status is Status.QUEUED


async def test_each_job_goes_into_its_own_queue(hasty: World, redis_url: str) -> None:
    expected = {queue: await hasty.submit("quick", queue=queue) for queue in QUEUES}
    assert await dispatch(hasty.context) == len(QUEUES)
    for queue, job in expected.items():
        assert list(await _deliveries(redis_url, queue)) == [_id(job)]


async def test_what_redis_lost_is_delivered_again(hasty: World, redis_url: str) -> None:
    context = hasty.context
    job = await enqueue(context.database, context.broker, await hasty.submit("quick"))
    before = await _deliveries(redis_url)
    await _empty(redis_url)
    assert await dispatch(context) == 1
    assert await _deliveries(redis_url) == before == {_id(job): before[_id(job)]}
    assert await hasty.read(job) == job


async def test_a_retry_is_delivered_when_it_is_due(hasty: World, redis_url: str) -> None:
    hasty.add_tool("failing", "raise SystemExit(1)")
    due = await hasty.run(await hasty.submit("failing", retry_delay_seconds=0.0))
    later = await hasty.run(await hasty.submit("failing", retry_delay_seconds=60.0))
    assert (due.status, later.status) == (Status.QUEUED, Status.QUEUED)
    assert await dispatch(hasty.context) == 1
    assert list(await _deliveries(redis_url)) == [_id(due)]


async def test_what_waits_in_its_queue_is_left_there(hasty: World, redis_url: str) -> None:
    context = hasty.context
    await enqueue(context.database, context.broker, await hasty.submit("quick"))
    before = await _deliveries(redis_url)
    assert len(before) == 1
    assert await dispatch(context) == 0
    assert await _deliveries(redis_url) == before


async def test_what_is_young_is_left_to_who_is_delivering_it(
    make_world: MakeWorld, redis_url: str
) -> None:
    patient = await make_world(dispatch_seconds=60)
    await patient.submit("quick")
    assert await dispatch(patient.context) == 0
    assert await _deliveries(redis_url) == {}


async def test_what_runs_or_has_ended_is_not_delivered(hasty: World, redis_url: str) -> None:
    async with hasty.context.database.connect() as connection:
        for status in set(Status) - {Status.PENDING, Status.QUEUED}:
            await job_in(connection, status)
    assert await dispatch(hasty.context) == 0
    assert await _deliveries(redis_url) == {}


async def test_more_than_a_page_is_delivered_in_one_round(hasty: World, redis_url: str) -> None:
    """Page by page, without one job twice or none."""
    job = await hasty.submit("quick")
    columns = "tool_name, parameters, status, queue, priority, max_attempts, last_seq,"
    limits = "retry_delay_seconds, soft_limit_seconds, hard_limit_seconds"
    async with hasty.context.database.connect() as connection:
        await connection.execute(
            sa.text(
                f"INSERT INTO jobs (id, {columns} {limits})"  # noqa: S608  # Our own names.
                f" SELECT gen_random_uuid(), {columns} {limits}"
                " FROM jobs, generate_series(1, 1200) WHERE id = :id"
            ),
            {"id": job.id},
        )
    assert await dispatch(hasty.context) == 1201
    assert len(await _deliveries(redis_url)) == 1201
    assert await dispatch(hasty.context) == 0


async def test_while_redis_is_away_nothing_is_lost(
    make_world: MakeWorld, hasty: World, redis_url: str
) -> None:
    cut_off = await make_world(dispatch_seconds=AT_ONCE, redis_url="unix:///nowhere")
    job = await cut_off.submit("quick")
    with pytest.raises(BrokerUnavailableError):
        await dispatch(cut_off.context)
    assert await hasty.read(job) == job
    assert await dispatch(hasty.context) == 1
    assert list(await _deliveries(redis_url)) == [_id(job)]


async def test_a_job_delivered_late_runs(hasty: World) -> None:
    hasty.add_tool("quick", QUICK)
    job = await hasty.submit("quick")
    await dispatch(hasty.context)
    assert (await hasty.run(job)).status is Status.COMPLETED


async def test_a_retry_is_another_delivery(hasty: World, redis_url: str) -> None:
    """Its delivery carries the next claim's number: nothing kept of the last is in its way."""
    async with hasty.context.database.connect() as connection:
        job = await job_in(connection, Status.RUNNING)
        retried = await jobs.retry(connection, job, FAILURE)
        assert retried is not None
        await connection.execute(sa.text("UPDATE jobs SET next_attempt_at = now()"))
    assert await dispatch(hasty.context) == 1
    assert list(await _deliveries(redis_url)) == [f"{job.id}:2"]
