"""What killed workers leave on the disk goes, and nothing else."""

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
