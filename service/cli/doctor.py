"""`data20 doctor`: is everything there that the service needs, and what to do if not."""

import os
import platform
import shutil
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

from service.cli import banner
from service.cli.client import ApiClient
from service.cli.exits import ExitCode
from service.config import Settings, load_settings
from service.errors import ApiUnreachableError, RefusedError, SettingsError
from service.execution.isolation import Isolation, detect_isolation
from service.tools.catalog import Catalog

_LEAST_FREE_BYTES = 1 << 30
_GIGABYTE = 1e9


async def examine() -> ExitCode:
    """Print a line for each thing looked at; FAILED when something must be done."""
    has_trouble = False
    print("data20 doctor")  # noqa: T201  # It is the command line.
    async for each in _look():
        print(each, flush=True)  # noqa: T201  # It is the command line.
        has_trouble = has_trouble or banner.is_trouble(each)
    return ExitCode.FAILED if has_trouble else ExitCode.OK


async def _look() -> AsyncGenerator[str]:
    yield banner.line("ok", "python", f"{platform.python_version()} at {sys.executable}")
    try:
        settings = load_settings()
    except SettingsError as error:
        yield banner.line("!!", "settings", str(error))
        return
    yield banner.line("ok", "settings", "valid")
    for each in banner.tools_lines(Catalog(settings.tools_dir), settings.tools_dir):
        yield each
    yield _folder_line(settings.var_dir.absolute())
    yield _isolation_line(detect_isolation())
    async for each in _api_lines(settings):
        yield each


def _folder_line(folder: Path) -> str:
    """Say whether there is room for data, and leave to write it."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        advice = "let DATA20_VAR_DIR name a folder that can be written to"
        return banner.line("!!", "data", f"{there} cannot be written to; {advice}")
    usage = shutil.disk_usage(there)
    room = f"{usage.free / _GIGABYTE:.1f} GB free for {folder}"
    if usage.free < _LEAST_FREE_BYTES:
        return banner.line("!!", "data", f"only {room}; make room, or set DATA20_VAR_DIR")
    return banner.line("ok", "data", room)


def _isolation_line(isolation: Isolation) -> str:
    if isolation is Isolation.PID_NAMESPACE:
        return banner.line("ok", "isolation", str(isolation))
    return banner.line(
        "--", "isolation", f"{isolation}; this host lets us make no PID namespace, which is safer"
    )


async def _api_lines(settings: Settings) -> AsyncGenerator[str]:
    try:
        async with ApiClient(settings.api_url, timeout_seconds=5) as client:
            answer = await client.ready()
    except (ApiUnreachableError, RefusedError) as error:
        yield banner.line("!!", "api", str(error))
        yield banner.line("--", "", "database, broker and workers are not known without it")
        return
    yield banner.line("ok", "api", settings.api_url)
    for each in _check_lines(answer["checks"]):
        yield each
    workers = answer["workers"]
    if workers:
        yield banner.line("ok", "workers", f"{workers} live")
    else:
        yield banner.line("!!", "workers", "none is live; start one with `data20 worker`")


def _check_lines(checks: dict[str, str]) -> Iterator[str]:
    for topic, found in checks.items():
        yield banner.line("ok" if found == "ok" else "!!", topic, found)
