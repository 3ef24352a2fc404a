"""Remove what killed workers left on this machine's disk."""

import asyncio

import structlog

from service.errors import JobNotFoundError
from service.execution.workspace import Workspace, find_workspaces, remove_workspace
from service.jobs.context import Context
from service.store import lookup
from service.store.states import Status

log = structlog.stdlib.get_logger(__name__)


async def sweep(context: Context) -> int:
    """Remove the workspaces of claims that are no more; return how many there were."""
    removed = 0
    for workspace in await asyncio.to_thread(find_workspaces, context.settings.workspaces):
        if await _is_in_use(context, workspace):
            continue
        try:
            await asyncio.to_thread(remove_workspace, workspace)
        except OSError as error:
            log.warning("workspace left", folder=str(workspace.root), reason=str(error))
            continue
        removed += 1
    if removed:
        log.info("swept", workspaces=removed)
    return removed


async def _is_in_use(context: Context, workspace: Workspace) -> bool:
    """Tell whether the claim that this was made for still holds, be it another worker's."""
    if workspace.job_id in context.running:
        return True
    try:
        async with context.database.connect() as connection:
            job = await lookup.get_job(connection, workspace.job_id)
    except JobNotFoundError:
        return False
    return job.status is Status.RUNNING and job.fence == workspace.fence
