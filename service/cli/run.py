"""`data20 run` and `data20 tools`: what can be run, and running it."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from service.cli.arguments import read_parameters
from service.cli.client import ApiClient
from service.cli.exits import ExitCode
from service.cli.tables import print_json, print_tool, print_tools
from service.cli.watch import say, stay
from service.config import Settings
from service.errors import RefusedError, UsageError


async def show_tools(settings: Settings, name: str | None, *, is_json: bool) -> None:
    """Print every tool, or one with its parameters."""
    async with ApiClient(settings.api_url) as client:
        if name is not None:
            tool = await client.tool(name)
            print_json(tool) if is_json else print_tool(tool)
            return
        found = await client.tools()
        print_json(found) if is_json else print_tools(found["tools"])


def read_moment(text: str) -> str:
    """Return *text* as ISO 8601 with an offset: this host's when it has none.

    Raises UsageError when it is no moment.
    """
    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except (ValueError, OverflowError):
        raise UsageError(f"--at {text}: give a moment like 2030-01-31T08:00") from None


async def run_tool(
    settings: Settings,
    name: str,
    arguments: Sequence[str],
    options: Mapping[str, Any],
    *,
    follows: bool,
    is_json: bool,
) -> ExitCode:
    """Ask for a job and print its id; with *follows* stay with it until it has ended.

    *options* are those of `POST /api/run` beside the parameters; None leaves one out.
    """
    given = {name: value for name, value in options.items() if value is not None}
    async with ApiClient(settings.api_url) as client:
        tool = await client.tool(name)
        if tool["broken"]:
            raise RefusedError(f"Tool {name} is broken: {tool['reason']}")
        accepted = await client.run(name, read_parameters(arguments, tool["parameters"]), given)
        job_id = accepted["job_id"]
        if follows:
            say(f"job {job_id}")
            return await stay(client, job_id, is_json=is_json)
        if is_json:
            print_json(accepted)
        else:
            sys.stdout.write(f"{job_id}\n")
            start = accepted.get("next_attempt_at")
            when = f" until {start}" if start else ""
            say(f"{accepted['status']}{when}; follow it with `data20 jobs logs -f {job_id}`")
    return ExitCode.OK
