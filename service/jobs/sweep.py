"""Remove what killed workers left on this machine's disk."""

import asyncio
from pathlib import Path

import structlog

from service.errors import JobNotFoundError
from service.execution.workspace import Workspace, find_workspaces, remove_trash, remove_workspace
from service.jobs.context import Context
from service.store import lookup
from service.store.states import Status

log = structlog.stdlib.get_logger(__name__)

_TRASH_SECONDS = 3600.0
"""For which nobody has touched what was being removed, so that nobody is at it any more."""


async def sweep(context: Context) -> int:
    """Remove the workspaces of claims that are no more; return how many there were."""
    folder = context.settings.workspaces
    removed = await _remove_trash(folder)
    for workspace in await asyncio.to_thread(find_workspaces, folder):
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


async def _remove_trash(folder: Path) -> int:
    try:
        return await asyncio.to_thread(remove_trash, folder, older_than_seconds=_TRASH_SECONDS)
    except OSError as error:  # Another worker may be at it.
        log.info("trash left", folder=str(folder), reason=str(error))
        return 0


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
