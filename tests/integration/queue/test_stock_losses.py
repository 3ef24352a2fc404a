"""What arq's own worker loses, and ours does not: each test shows first the fault."""

import asyncio
import pickle
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest
from arq.connections import ArqRedis, create_pool
from arq.constants import abort_jobs_ss, in_progress_key_prefix
from arq.jobs import Job, JobStatus
from redis.exceptions import RedisError
from structlog.testing import capture_logs

from service.config import BROKER_DATABASE
from service.embedded.servers import EmbeddedServers
from service.queue.broker import Broker
from service.queue.delivery import payload_key
from tests.integration.queue.serving import Record, call, deliver_again, depth, serving
from tests.integration.queue.stock import empty, keys, moment_ms, stock_serving, stock_settings
from tests.integration.queue.test_bad_deliveries import Trap
from tests.servers import redis_client
from tests.waiting import until

DAY_MS = 24 * 3600 * 1000


async def test_what_runs_leaves_no_mark_that_outlives_its_worker(
    broker: Broker, producer: ArqRedis, redis_url: str
) -> None:
    """Arq's says for the job's time limit that it runs, whatever becomes of its worker."""
    record = Record(is_open=False)
    async with stock_serving(redis_url, [record.note], job_timeout=3600):
        await producer.enqueue_job("note", _job_id="job")
        await record.heard(1)
        async with redis_client(redis_url, BROKER_DATABASE) as client:
            assert await client.pttl(in_progress_key_prefix + "job") > 3_600_000
            await client.flushdb()
    async with serving(broker, [record.note]):
        await producer.enqueue_job("note", _job_id="job")
        await record.heard(2)
        assert await keys(redis_url) == []
        record.open()


async def test_a_worker_outlives_its_connection(
    own_servers: EmbeddedServers, own_broker: Broker
) -> None:
    with capture_logs():
        async with stock_serving(own_servers.redis_url, [Record().note]) as stock:
            own_servers.valkey.kill()
            await until(stock.main_task.done, what="it to die")
            with pytest.raises((RedisError, OSError)):
                await stock.main_task
        own_servers.valkey.start()
        record = Record()
        async with serving(own_broker, [record.note]) as ours:
            await own_broker.deliver([call("before", "before")])
            await record.heard(1)
            own_servers.valkey.kill()
            own_servers.valkey.start()
            await deliver_again(own_broker, call("after", "after"))
            assert await record.heard(2) == ["before", "after"]
            assert ours.main_task is not None
            assert not ours.main_task.done()


async def test_an_error_hurts_only_its_own_delivery(
    broker: Broker, producer: ArqRedis, redis_url: str
) -> None:
    record = Record()

    async def spoil(_: dict[Any, Any]) -> None:
        raise RuntimeError("out of luck")

    async with stock_serving(redis_url, [record.note], on_job_start=spoil) as stock:
        await producer.enqueue_job("note", "first")
        await until(stock.main_task.done, what="it to die")
        with pytest.raises(RuntimeError, match="out of luck"):
            await stock.main_task
    assert record.calls == []

    await empty(redis_url)
    with capture_logs() as logs:
        async with serving(broker, [record.note, spoil]):
            await broker.deliver([call("spoilt", function="spoil"), call("good", "good", place=1)])
            assert await record.heard(1) == ["good"]
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["delivery failed"]


async def test_what_has_waited_for_days_is_run(
    broker: Broker, producer: ArqRedis, redis_url: str
) -> None:
    """Arq's client gives a delivery a day to live."""
    record = Record()
    job = await producer.enqueue_job("note", "expired")
    assert job is not None
    async with redis_client(redis_url, BROKER_DATABASE) as client:
        assert 0 < await client.pttl(payload_key(job.job_id)) <= DAY_MS
        await client.delete(payload_key(job.job_id))  # As when the day is over.
        async with stock_serving(redis_url, [record.note]):
            await until(job.result_info, what="it to give up")
        found = await job.result_info()
        assert found is not None
        assert str(found.result) == "job expired"

        await broker.deliver([call("old", "old", place=moment_ms(-10 * 24 * 3600))])
        assert await client.pttl(payload_key("old")) == -1
    async with serving(broker, [record.note]):
        assert await record.heard(1) == ["old"]


async def test_a_wish_to_cancel_does_not_poison_an_id(
    broker: Broker, producer: ArqRedis, redis_url: str
) -> None:
    """Nobody has heard of the job when it is cancelled; later there is one."""
    record = Record()

    async def cancel_and_enqueue() -> Job:
        wish = Job("later", producer, "tools", _deserializer=producer.job_deserializer)
        assert not await wish.abort(timeout=0.1, poll_delay=0.05)
        job = await producer.enqueue_job("note", "later", _job_id="later")
        assert job is not None
        return job

    job = await cancel_and_enqueue()
    async with stock_serving(redis_url, [record.note], allow_abort_jobs=True):
        await until(job.result_info, what="it to be given up")
    assert record.calls == []

    async with redis_client(redis_url, BROKER_DATABASE) as client:
        await client.flushdb()
        await cancel_and_enqueue()
        assert await client.zscore(abort_jobs_ss, "later") is not None
    async with serving(broker, [record.note]):
        assert await record.heard(1) == ["later"]


async def test_a_signal_lets_what_runs_come_to_its_end(
    broker: Broker, producer: ArqRedis, redis_url: str
) -> None:
    """Arq's cancels it, and has spent a try: with one try it fails after a deploy."""
    held, record = Record(is_open=False), Record()
    async with stock_serving(redis_url, [held.note], max_tries=1) as stock:
        job = await producer.enqueue_job("note", "deployed")
        assert job is not None
        await held.heard(1)
        stock.handle_sig(signal.SIGTERM)
        await until(lambda: held.running == 0, what="it to be cancelled")
    async with stock_serving(redis_url, [record.note], max_tries=1):
        found = await until(job.result_info, what="its end")
        assert found is not None
        assert "retries exceeded" in str(found.result)
    assert record.calls == []

    async with serving(broker, [held.note], drain_seconds=60) as ours:
        await broker.deliver([call("deployed", "deployed again")])
        await held.heard(2)
        ours.handle_sig(signal.SIGTERM)
        held.open()
    assert ours.jobs_complete == 1


async def test_a_function_nobody_here_knows_is_kept(
    broker: Broker, producer: ArqRedis, redis_url: str
) -> None:
    """As in a deploy, when some workers are newer than others."""
    record = Record()

    async def other(_: dict[Any, Any]) -> None:
        """Be what the older workers know."""

    job = await producer.enqueue_job("note", "newer")
    assert job is not None
    async with stock_serving(redis_url, [other]):
        await until(job.result_info, what="it to be given up")
    async with stock_serving(redis_url, [record.note]) as newer:
        await until(lambda: newer._last_health_check, what="it to look")
        assert await job.status() == JobStatus.complete
    assert record.calls == []

    await producer.enqueue_job("note", "newer")
    with capture_logs():
        async with serving(broker, [other]):

            async def is_taken() -> bool:
                return await depth(redis_url) == 0

            await until(is_taken, what="it to be taken")
        async with serving(broker, [record.note]):
            assert await record.heard(1) == ["newer"]


async def test_whoever_writes_to_redis_runs_no_code_here(broker: Broker, redis_url: str) -> None:
    """Arq's reads pickle, which calls what its writer wants."""
    with tempfile.TemporaryDirectory(prefix="data20-tests-") as folder:
        sprung, unsprung = Path(folder) / "sprung", Path(folder) / "unsprung"
        pool = await create_pool(stock_settings(redis_url), default_queue_name="tools")
        record = Record()
        pickled: dict[str, Any] = {"job_serializer": None, "job_deserializer": None}
        await pool.enqueue_job("note", Trap(str(sprung)))
        async with stock_serving(redis_url, [record.note], **pickled):
            await until(sprung.exists, what="the trap")
        await pool.enqueue_job("note", Trap(str(unsprung)))
        await pool.aclose(close_connection_pool=True)
        with capture_logs() as logs:
            async with serving(broker, [record.note]):
                await until(lambda: logs, what="it to be refused")
        assert logs[0]["event"] == "delivery refused"
        assert not unsprung.exists()
        assert pickle.dumps(Trap(str(unsprung)))  # Which would have, had anybody read it.


async def test_a_kept_result_swallows_no_later_delivery(
    broker: Broker, producer: ArqRedis, redis_url: str
) -> None:
    """Arq's client says nothing when it drops one, but for returning nothing."""
    record = Record()
    first = await producer.enqueue_job("note", "first", _job_id="same")
    assert first is not None
    async with stock_serving(redis_url, [record.note]):
        await until(first.result_info, what="its result")
        assert await producer.enqueue_job("note", "second", _job_id="same") is None

    await empty(redis_url)
    async with serving(broker, [record.note]):
        for what in ("third", "fourth"):
            assert await producer.enqueue_job("note", what, _job_id="same") is not None
            await until(lambda what=what: what in record.calls, what=what)
        await asyncio.sleep(0)
    assert record.calls == ["first", "third", "fourth"]
