"""`data20 run` and `data20 tools`: what can be run, and running it."""

import sys
from collections.abc import Sequence

from service.cli.arguments import read_parameters
from service.cli.client import ApiClient
from service.cli.exits import ExitCode
from service.cli.tables import print_json, print_tool, print_tools
from service.cli.watch import say, stay
from service.config import Settings
from service.errors import RefusedError


async def show_tools(settings: Settings, name: str | None, *, is_json: bool) -> None:
    """Print every tool, or one with its parameters."""
    async with ApiClient(settings.api_url) as client:
        if name is not None:
            tool = await client.tool(name)
            print_json(tool) if is_json else print_tool(tool)
            return
        found = await client.tools()
        print_json(found) if is_json else print_tools(found["tools"])


async def run_tool(
    settings: Settings, name: str, arguments: Sequence[str], *, follows: bool, is_json: bool
) -> ExitCode:
    """Ask for a job and print its id; with *follows* stay with it until it has ended."""
    async with ApiClient(settings.api_url) as client:
        tool = await client.tool(name)
        if tool["broken"]:
            raise RefusedError(f"Tool {name} is broken: {tool['reason']}")
        accepted = await client.run(name, read_parameters(arguments, tool["parameters"]))
        job_id = accepted["job_id"]
        if follows:
            say(f"job {job_id}")
            return await stay(client, job_id, is_json=is_json)
        if is_json:
            print_json(accepted)
        else:
            sys.stdout.write(f"{job_id}\n")
            say(f"{accepted['status']}; follow it with `data20 jobs logs -f {job_id}`")
    return ExitCode.OK
