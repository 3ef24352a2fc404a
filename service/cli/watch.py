"""Staying with a job until it has ended."""

import asyncio
import sys
from contextlib import aclosing
from functools import partial

from service.cli.answers import JobJson
from service.cli.client import ApiClient
from service.cli.exits import ExitCode, exit_code_of_job
from service.cli.follow import follow, patiently
from service.cli.tables import duration, moment, plain, print_json
from service.cli.views import View, choose_view


def say(text: str) -> None:
    """Write a sentence of the command itself to stderr."""
    print(f"data20: {text}", file=sys.stderr, flush=True)  # noqa: T201  # It is the command line.


async def stay(client: ApiClient, job_id: str, *, is_json: bool) -> ExitCode:
    """Show a job until it has ended; Ctrl-C leaves it running and says how to come back."""
    try:
        job = await watch(client, job_id, choose_view(is_json=is_json))
    except asyncio.CancelledError:
        say(
            f"detached, the job goes on; see it with `data20 jobs logs -f {job_id}`, "
            f"end it with `data20 jobs cancel {job_id}`"
        )
        raise
    if is_json:
        print_json(job)
    say(describe_end(job))
    return exit_code_of_job(job["status"])


async def watch(client: ApiClient, job_id: str, view: View) -> JobJson:
    """Show a job in *view* until it has ended; return what became of it.

    Raises ApiUnreachableError and RefusedError.
    """
    was_running = False
    with view:
        async with aclosing(follow(client, job_id, note=view.say)) as updates:
            async for update in updates:
                view.show(update)
                if was_running and update.status == "queued":
                    view.say(_describe_setback(await client.job(job_id)))
                was_running = update.status == "running"
        return await patiently(partial(client.job, job_id), view.say)


def describe_end(job: JobJson) -> str:
    """Say in one line how a job ended, and where to find what it left."""
    after = f" after {duration(job['duration'])}" if job["duration"] is not None else ""
    why = f": {plain(job['message'])}" if job["message"] and job["status"] != "completed" else ""
    files = f"; files: {plain(', '.join(job['output_files']))}" if job["output_files"] else ""
    return f"{job['status']}{after}{why}{files}"


def _describe_setback(job: JobJson) -> str:
    """Say why a job that ran waits again."""
    why = plain(job["message"] or job["reason"] or "it was handed back")
    if job["next_attempt_at"] is None:
        return f"waits again: {why}"
    return (
        f"attempt {job['attempt']} of {job['max_attempts']} failed: {why}; "
        f"the next one starts at {moment(job['next_attempt_at'])[11:]}"
    )
