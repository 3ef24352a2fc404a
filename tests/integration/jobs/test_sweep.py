"""What killed workers leave on the disk goes, and nothing else."""

import os
import time

from service.execution.workspace import create_workspace
from service.jobs.sweep import sweep
from service.store import jobs
from service.store.ids import new_id
from tests.integration.jobs.worlds import World
from tests.integration.store.making import claimed, somebody


async def test_only_workspaces_of_claims_that_hold_are_kept(world: World) -> None:
    folder = world.context.settings.workspaces
    async with world.context.database.connect() as connection:
        running = await claimed(connection, somebody())
        released = await claimed(connection, somebody())
        await jobs.release(connection, released)
    kept = create_workspace(folder, running.id, running.fence)
    for job_id, fence in ((running.id, 0), (released.id, 1), (new_id(), 1)):
        create_workspace(folder, job_id, fence)
    assert await sweep(world.context) == 3
    assert [path.name for path in folder.iterdir()] == [kept.root.name]
    assert await sweep(world.context) == 0


async def test_what_a_worker_was_removing_when_it_was_killed_goes(world: World) -> None:
    """Once nobody can be at it any more, whatever its tool had made of it."""
    folder = world.context.settings.workspaces
    for name, age_seconds in ((".removing-old", 4000), (".removing-new", 0)):
        deep = folder / name / "3" / "work" / "deep"
        deep.mkdir(parents=True)
        (deep / "file").touch()
        deep.chmod(0o000)
        moment = time.time() - age_seconds
        os.utime(folder / name, (moment, moment))
    assert await sweep(world.context) == 1
    assert [path.name for path in folder.iterdir()] == [".removing-new"]
    (folder / ".removing-new" / "3" / "work" / "deep").chmod(0o700)
