"""`data20 demo`: one real job through the whole system, and what came of it."""

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from service.cli import banner
from service.cli.client import ApiClient
from service.cli.exits import ExitCode
from service.cli.tables import duration, plain
from service.cli.views import choose_view
from service.cli.watch import describe_end, say, watch
from service.config import Settings, load_settings
from service.errors import AlreadyOwnedError, ApiUnreachableError, RefusedError

if TYPE_CHECKING:
    import socket

    from service.cli.stack import Addresses

TOOL = "build_graph"
_PAGE = "graph.html"
_DATA = "graph.json"


def demonstrate(settings: Settings) -> ExitCode:
    """Draw the example notes as a graph, in a job of the service that runs or of one of our own.

    Raises Data20Error. Nothing that was started here is left running.
    """
    started_at = psutil.Process().create_time()  # Imports take their time, too.
    if asyncio.run(_is_served(settings)):
        _print(f"Using the service at {settings.api_url}")
        return asyncio.run(_show_job(settings.api_url, settings.var_dir, started_at))
    # These take long to import, and a service that runs needs none of them.
    from service.cli.listening import listen
    from service.cli.up import servers

    is_told = "log_level" in settings.model_fields_set
    ours = load_settings(port=0, log_level=None if is_told else "warning")
    try:
        with servers(ours) as addresses, listen(ours.host, ours.port) as listener:
            return asyncio.run(_show_stack(ours, addresses, listener, started_at))
    except AlreadyOwnedError as error:
        raise AlreadyOwnedError(
            f"No service that is ready answers at {settings.api_url}, and yet: {error}. "
            "DATA20_URL says where it is"
        ) from None


async def _is_served(settings: Settings) -> bool:
    """Tell whether a service with a worker is there already."""
    if settings.port == 0 and not settings.url:
        return False
    try:
        async with ApiClient(settings.api_url, timeout_seconds=2) as client:
            answer = await client.ready()
    except ApiUnreachableError:
        return False
    return answer["status"] == "ready" and answer["workers"] > 0


async def _show_stack(
    settings: Settings, addresses: "Addresses", listener: "socket.socket", started_at: float
) -> ExitCode:
    from service.cli.stack import stack

    async with stack(settings, addresses, listener, _print) as running:
        work = _show_job(running.url, settings.var_dir, started_at)
        code = await running.unless_stopped(work)
    return ExitCode.INTERRUPTED if code is None else code


async def _show_job(url: str, var_dir: Path, started_at: float) -> ExitCode:
    """Run the job, show it, save what it made and say what that is."""
    async with ApiClient(url) as client:
        job_id = await _ask_for_job(client)
        _print(banner.line("->", "job", f"{TOOL} {job_id}"))
        job = await watch(client, job_id, choose_view(is_json=False))
        ended_at = time.time()
        if job["status"] != "completed":
            say(describe_end(job))
            return ExitCode.FAILED
        folder = _make_folder(var_dir)
        for artifact in await client.artifacts(job_id):
            if artifact["name"] in {_PAGE, _DATA}:
                await client.download(artifact, folder / artifact["name"])
    took = f"{duration(job['duration'])}, {duration(ended_at - started_at)} with all that started"
    _print("", banner.line("ok", "done", f"{TOOL} took {took}"), *_describe(folder))
    _print(banner.line("->", "open", str(folder / _PAGE)), "", *_next_steps())
    return ExitCode.OK


async def _ask_for_job(client: ApiClient) -> str:
    try:
        return (await client.run(TOOL, {}))["job_id"]
    except RefusedError as error:
        raise RefusedError(
            f"{error}. The demo needs the tools that ship: run it in the project's folder, or let "
            "DATA20_TOOLS_DIR name theirs"
        ) from None


def _make_folder(var_dir: Path) -> Path:
    folder = (var_dir / "demo").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _describe(folder: Path) -> Iterator[str]:
    graph = json.loads((folder / _DATA).read_bytes())
    summary = graph["summary"]
    yield banner.line("ok", "graph", f"{summary['notes']} notes, {summary['links']} links")
    for place, note in enumerate(summary["most_central"], start=1):
        topic = "central" if place == 1 else ""
        yield banner.line("  ", topic, f"{place}. {plain(note['title'])}")


def _next_steps() -> Iterator[str]:
    command = _own_name()
    yield "What next?"
    yield f"  {'make serve':<46}everything, until Ctrl-C, with a page to look at"
    yield f"  {f'{command} tools':<46}what can be run"
    yield f"  {f'{command} run {TOOL} --follow':<46}this job again, by hand"


def _own_name() -> str:
    """Return how to call this command from here."""
    if shutil.which("data20"):
        return "data20"
    return os.path.relpath(Path(sys.executable).with_name("data20"))


def _print(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)  # noqa: T201  # It is the command line.
