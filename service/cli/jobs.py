"""`data20 jobs`: look at jobs, follow and cancel them."""

import re
import sys
from collections.abc import Sequence
from contextlib import aclosing
from uuid import UUID

from service.cli.answers import JobJson, JobsJson
from service.cli.client import MOST_JOBS, ApiClient
from service.cli.exits import ExitCode
from service.cli.follow import read_so_far
from service.cli.tables import print_job, print_jobs, print_json
from service.cli.views import PlainView
from service.cli.watch import stay
from service.config import Settings
from service.errors import RefusedError, UsageError

_PART_OF_ID = re.compile(r"[0-9a-f-]{6,36}")


async def list_jobs(
    settings: Settings, *, statuses: Sequence[str], tool_name: str | None, limit: int, is_json: bool
) -> None:
    """Print the newest jobs."""
    async with ApiClient(settings.api_url) as client:
        found = await _read_jobs(client, statuses, tool_name, limit)
    print_json(found) if is_json else print_jobs(found["jobs"])


async def show_job(settings: Settings, given_id: str, *, is_json: bool) -> None:
    """Print all that is known of a job."""
    async with ApiClient(settings.api_url) as client:
        job = await client.job(await find_job(client, given_id))
    print_json(job) if is_json else print_job(job)


async def show_logs(settings: Settings, given_id: str, *, follows: bool) -> ExitCode:
    """Print what a job has printed; with *follows* until it has ended."""
    async with ApiClient(settings.api_url) as client:
        job_id = await find_job(client, given_id)
        if follows:
            return await stay(client, job_id, is_json=False)
        view = PlainView(sys.stdout, sys.stderr)
        async with aclosing(read_so_far(client, job_id)) as updates:
            async for update in updates:
                view.write(update.lines)
    return ExitCode.OK


async def cancel_job(settings: Settings, given_id: str, *, terminates: bool) -> None:
    """Cancel a job; with *terminates* its tool is not asked first."""
    async with ApiClient(settings.api_url) as client:
        job_id = await find_job(client, given_id)
        answer = await client.cancel(job_id, terminates=terminates)
    sys.stdout.write(f"{answer['message']}\n")


async def find_job(client: ApiClient, given: str) -> str:
    """Return the id of the job that *given* names: whole, or its beginning or end.

    A part must be six characters or more and fit one job alone among the newest, as many as the
    API lists at once. Raises UsageError and RefusedError.
    """
    try:
        return str(UUID(given))
    except ValueError:
        pass
    if not _PART_OF_ID.fullmatch(given):
        raise UsageError(f"{given!r} is no job id; `data20 jobs` lists them")
    jobs = (await client.jobs(limit=MOST_JOBS))["jobs"]
    fitting = [job["job_id"] for job in jobs if _fits(job, given)]
    if not fitting:
        raise RefusedError(f"No job among the newest {MOST_JOBS} has an id that fits {given}")
    if len(fitting) > 1:
        raise UsageError(
            f"{given} fits {len(fitting)} jobs; ids of jobs made together begin alike, "
            "so give the end of the id, or all of it"
        )
    return fitting[0]


def _fits(job: JobJson, part: str) -> bool:
    return job["job_id"].startswith(part) or job["job_id"].endswith(part)


async def _read_jobs(
    client: ApiClient, statuses: Sequence[str], tool_name: str | None, limit: int
) -> JobsJson:
    """Read as many pages as *limit* takes."""
    jobs: list[JobJson] = []
    cursor: str | None = None
    while len(jobs) < limit:
        page = await client.jobs(
            statuses=statuses,
            tool_name=tool_name,
            limit=min(MOST_JOBS, limit - len(jobs)),
            cursor=cursor,
        )
        jobs += page["jobs"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return JobsJson(jobs=jobs, next_cursor=cursor)
