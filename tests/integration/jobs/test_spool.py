"""An end that PostgreSQL cannot be told of survives the worker's death."""

import asyncio
import stat
import tracemalloc
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from service.embedded.servers import EmbeddedServers
from service.jobs.finish import replay
from service.jobs.spool import End, Spool
from service.store import jobs
from service.store.records import Ending, Job
from service.store.states import Move, Reason, Status
from tests.integration.jobs.processes import PATIENCE_SECONDS, post, worker_process
from tests.integration.jobs.worlds import GATED, World
from tests.integration.store.making import somebody
from tests.waiting import until

WRITTEN_SECONDS = 10.0
"""How soon a kept end must be in PostgreSQL when that is back."""


def _kept(world: World) -> list[Path]:
    return [path for path in _files(world) if path.suffix == ".json"]


def _files(world: World) -> list[Path]:
    folder = world.context.settings.spool
    return sorted(folder.iterdir()) if folder.is_dir() else []


async def _claimed(world: World) -> Job:
    job = await world.submit("gated")
    async with world.context.database.connect() as connection:
        claimed = await jobs.claim(connection, job.id, somebody())
    assert claimed is not None
    return claimed


def _end(job: Job, move: Move = Move.COMPLETE, reason: Reason | None = None) -> End:
    ending = Ending(reason, None, return_code=0, duration_seconds=1.0, output="said\n")
    return End(job.id, job.fence, move, ending, job.last_seq)


@pytest.mark.timeout(240)
async def test_no_result_is_lost_when_postgresql_and_then_the_worker_are_killed(
    fragile: World, own_servers: EmbeddedServers
) -> None:
    """The tool ends in between; what it said last is kept with its result."""
    fragile.add_tool("gated", GATED)
    gate = fragile.folder / "gate"
    async with worker_process(fragile) as worker:
        job = await fragile.submit("gated", {"gate": str(gate)})
        await post(fragile, job)
        await until(lambda: fragile.lines(job), what="a line", within=PATIENCE_SECONDS)
        own_servers.postgres.kill()
        gate.touch()
        await until(lambda: _kept(fragile), what="the end on disk", within=PATIENCE_SECONDS)
        worker.process.kill()
        await worker.exit_code()
    [file] = _files(fragile)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    own_servers.postgres.start()
    await fragile.reconnected()
    async with worker_process(fragile) as worker:
        await worker.ready()
        done = await fragile.detail(job)
    assert (done.job.status, done.job.fence, done.job.losses) == (Status.COMPLETED, 1, 0)
    assert done.artifact_names == ("left.txt",)
    assert done.result is not None
    assert done.result.output == "started\nended\n"
    assert await fragile.lines(job) == ["started", "ended"]
    assert await fragile.states(job) == ["create", "enqueue", "claim", "complete"]
    assert _files(fragile) == []


async def test_a_worker_that_lives_writes_its_end_down_soon_after(
    fragile: World, own_servers: EmbeddedServers
) -> None:
    fragile.add_tool("gated", GATED)
    gate = fragile.folder / "gate"
    job = await fragile.submit("gated", {"gate": str(gate)})
    delivery = await fragile.begin(job)
    own_servers.postgres.kill()
    gate.touch()
    await until(lambda: _kept(fragile), what="the end on disk")
    own_servers.postgres.start()
    await asyncio.wait_for(delivery, WRITTEN_SECONDS)
    assert (await fragile.read(job)).status is Status.COMPLETED
    assert await fragile.lines(job) == ["started", "ended"]
    assert _files(fragile) == []


async def test_an_end_that_came_too_late_changes_nothing(world: World) -> None:
    late = await _claimed(world)
    world.context.spool.keep(_end(late))
    async with world.context.database.connect() as connection:
        assert await jobs.release(connection, late) is not None
        taken = await jobs.claim(connection, late.id, somebody())
    assert await replay(world.context) == 1
    assert await world.read(late) == taken
    assert _files(world) == []


async def test_an_end_that_was_written_after_all_is_left_as_it_is(world: World) -> None:
    """Its answer was lost, or the worker died before it could forget it."""
    job = await _claimed(world)
    end = _end(job)
    world.context.spool.keep(end)
    async with world.context.database.connect() as connection:
        done = await jobs.complete(connection, job, end.ending)
    assert await replay(world.context) == 1
    assert await world.read(job) == done
    assert _files(world) == []


async def test_what_was_cancelled_meanwhile_ends_as_cancelled(world: World) -> None:
    job = await _claimed(world)
    world.context.spool.keep(_end(job))
    async with world.context.database.connect() as connection:
        await jobs.request_cancel(connection, job.id, terminates=False)
    assert await replay(world.context) == 1
    assert (await world.read(job)).status is Status.CANCELLED


async def test_a_file_that_nobody_can_read_is_set_aside(world: World) -> None:
    """It stops neither the start nor what else is kept."""
    job = await _claimed(world)
    world.context.spool.keep(_end(job))
    broken = world.context.settings.spool / "broken.json"
    broken.write_bytes(b"{")
    with capture_logs() as logs:
        assert await replay(world.context) == 1
    assert [line["file"] for line in logs if line["event"] == "end of a job unreadable"] == [
        str(broken)
    ]
    assert (await world.read(job)).status is Status.COMPLETED
    assert [path.name for path in _files(world)] == ["broken.unreadable"]
    assert await replay(world.context) == 0


async def test_an_end_that_postgresql_refuses_stops_no_start(world: World) -> None:
    refused, kept = await _claimed(world), await _claimed(world)
    odd = replace(_end(refused).ending, output="NUL: \0")
    world.context.spool.keep(replace(_end(refused), ending=odd))
    world.context.spool.keep(_end(kept))
    with capture_logs() as logs:
        await replay(world.context)
    assert (await world.read(kept)).status is Status.COMPLETED
    assert (await world.read(refused)).status is Status.RUNNING
    [complaint] = [line for line in logs if line["event"] == "end not written down"]
    assert complaint["job_id"] == str(refused.id)
    assert [path.name for path in _files(world)] == [f"{refused.id}:1.json"]


async def test_without_a_disk_the_end_waits_in_memory(
    fragile: World, own_servers: EmbeddedServers
) -> None:
    fragile.add_tool("gated", GATED)
    gate = fragile.folder / "gate"
    spool = fragile.context.settings.spool
    spool.parent.mkdir(exist_ok=True)
    spool.write_text("Where a folder should be.")
    job = await fragile.submit("gated", {"gate": str(gate)})
    delivery = await fragile.begin(job)
    with capture_logs() as logs:
        own_servers.postgres.kill()
        gate.touch()
        await until(
            lambda: [line for line in logs if line["event"] == "end of a job not kept on disk"],
            what="the complaint",
        )
    own_servers.postgres.start()
    await asyncio.wait_for(delivery, WRITTEN_SECONDS)
    assert (await fragile.read(job)).status is Status.COMPLETED


async def test_however_many_ends_are_kept_one_at_a_time_is_read(world: World) -> None:
    """After a long outage a worker must not need the memory of all that tools said meanwhile."""
    count, size = 20, 1_000_000
    for _ in range(count):
        ending = Ending(None, None, 0, 1.0, output="x" * size)
        world.context.spool.keep(End(uuid4(), 1, Move.COMPLETE, ending, 1))
    tracemalloc.start()
    try:
        assert await replay(world.context) == count
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert _kept(world) == []
    assert most < count * size / 2


def test_what_could_not_be_written_whole_is_not_there(folder: Path) -> None:
    spool = Spool(folder / "spool")
    end = End(
        job_id=uuid4(),
        fence=1,
        move=Move.COMPLETE,
        ending=Ending(None, None, 0, 1.0),
        last_seq=1,
    )
    (folder / "spool").mkdir()
    (folder / "spool" / f"{end.job_id}:1.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        spool.keep(end)
    assert list((folder / "spool").iterdir()) == []
    assert spool.paths() == []
