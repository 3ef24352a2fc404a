"""One attempt at a job: its workspace, its tool process, and the files that it leaves."""

import asyncio
import os

import structlog

from service.errors import InvalidParametersError, ToolBrokenError, ToolNotFoundError
from service.execution.artifacts import StoredArtifact
from service.execution.environment import build_environment
from service.execution.outcome import Outcome
from service.execution.runner import Invocation, run
from service.execution.sink import LogLine
from service.execution.stop import Stop
from service.execution.tail import NO_TAIL
from service.execution.workspace import Workspace, create_workspace, remove_workspace
from service.jobs.context import Context
from service.jobs.journal import Journal
from service.store.records import Job, NewArtifact
from service.store.states import Reason
from service.tools.arguments import build_argv
from service.tools.validation import validate

log = structlog.stdlib.get_logger(__name__)

_MEGABYTE = 1 << 20


class Attempt:
    """What one claim of a job does on this machine's disk and among its processes."""

    def __init__(self, context: Context, job: Job, stop: Stop) -> None:
        self._context = context
        self._job = job
        self._stop = stop
        self._workspace: Workspace | None = None
        self._journal = Journal(context.database, job, stop)

    async def run(self) -> Outcome:
        """Run the tool to its end; nothing of its processes is left then."""
        here = f"On worker {self._context.identity.name}"
        try:
            invocation = await self._prepare()
        except InvalidParametersError as error:  # The tool has changed since the job was accepted.
            return _not_started(Reason.USAGE, str(error))
        except (ToolNotFoundError, ToolBrokenError) as error:
            return _not_started(Reason.ERROR, f"{here}: {error}")
        except OSError as error:
            log.error("no workspace", job_id=str(self._job.id), reason=str(error))  # noqa: TRY400  # The reason says all.
            return _not_started(Reason.ERROR, f"{here}: no workspace: {error.strerror}")
        context = self._context
        return await run(invocation, self._journal, self._stop, context.isolation, context.hold)

    async def _prepare(self) -> Invocation:
        """Make the workspace, and say what is to be run in it."""
        context, job = self._context, self._job
        context.catalog.refresh()
        tool = context.catalog.get(job.tool_name)
        arguments = build_argv(tool, validate(tool, job.parameters))
        workspace = self._workspace = await asyncio.to_thread(
            create_workspace, context.settings.workspaces, job.id, job.fence
        )
        return Invocation(
            argv=(*tool.command, *arguments),
            cwd=workspace.work,
            env=build_environment(
                os.environ,
                work=workspace.work,
                tmp=workspace.tmp,
                job_id=job.id,
                tool=tool.name,
                attempt=job.attempt,
            ),
            soft_limit_seconds=job.soft_limit_seconds,
            hard_limit_seconds=job.hard_limit_seconds,
            grace_seconds=context.settings.grace_seconds,
            log_limit_bytes=context.settings.log_limit_mb * _MEGABYTE,
            tag=f"{job.id}:{job.fence}",
        )

    @property
    def unwritten(self) -> tuple[int, tuple[LogLine, ...]]:
        """The last number of an event that was stored, and the lines that could not be, after it.

        There are such only when PostgreSQL was away as the tool ended.
        """
        return self._journal.last_seq, self._journal.unwritten

    async def keep_artifacts(self) -> list[NewArtifact]:
        """Copy what the tool left into the artifact store. Raises OSError, as for a full disk."""
        if self._workspace is None:
            return []
        collection = await self._context.artifacts.collect(
            self._workspace.work,
            self._job.id,
            self._job.fence,
            limit_bytes=self._context.settings.artifacts_limit_mb * _MEGABYTE,
        )
        if collection.skipped:
            log.warning(
                "files not kept",
                job_id=str(self._job.id),
                **{str(reason): count for reason, count in collection.skipped.items()},
            )
        return [_new(each) for each in collection.artifacts]

    async def forget_artifacts(self) -> None:
        """Delete what `keep_artifacts` stored: the job is somebody else's."""
        try:
            await self._context.artifacts.delete_attempt(self._job.id, self._job.fence)
        except OSError as error:
            log.warning("artifacts left", job_id=str(self._job.id), reason=str(error))

    async def clean_up(self) -> None:
        """Remove the workspace."""
        if self._workspace is None:
            return
        try:
            await asyncio.to_thread(remove_workspace, self._workspace)
        except OSError as error:
            log.warning("workspace left", folder=str(self._workspace.root), reason=str(error))


def _not_started(reason: Reason, message: str) -> Outcome:
    return Outcome(
        return_code=None,
        reason=reason,
        message=message,
        duration_seconds=0.0,
        output=NO_TAIL,
        error=NO_TAIL,
        signals=(),
        left_out_lines=0,
        left_out_bytes=0,
    )


def _new(stored: StoredArtifact) -> NewArtifact:
    return NewArtifact(
        name=stored.name,
        media_type=stored.media_type,
        size=stored.size,
        sha256=stored.sha256,
        location=stored.key,
    )
