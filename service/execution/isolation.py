"""How far a tool's processes are kept together on this host."""

import os
import subprocess
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from service.execution.pipes import Pipe

_KEEPER = Path(__file__).with_name("keeper.py")
_TRIAL_SECONDS = 10


class Isolation(StrEnum):
    """What makes sure that nothing of a tool outlives its job."""

    PID_NAMESPACE = "pid namespace"
    """The kernel does, also when the worker or the keeper is killed."""
    SUBREAPER = "sub-reaper"
    """The keeper does, also when the worker is killed. Should somebody kill the keeper itself,
    only the tool's main process is sure to end; the rest is found by its tag, if it kept it."""


def detect_isolation() -> Isolation:
    """Try which isolation this host allows, with a process that does nothing.

    Blocks for some 50 ms: ask once, before the loop starts.
    """
    nothing = (sys.executable, "-I", "-S", "-c", "")
    with Pipe() as control, Pipe() as status:
        try:
            subprocess.run(
                keeper_command(Isolation.PID_NAMESPACE, control, status, Path("/"), nothing),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(control.reader, status.writer),
                timeout=_TRIAL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Isolation.SUBREAPER
        status.close_writer()
        it_held = os.read(status.reader, 4096) == b"ended 0\0"
    return Isolation.PID_NAMESPACE if it_held else Isolation.SUBREAPER


def keeper_command(
    isolation: Isolation, control: Pipe, status: Pipe, cwd: Path, argv: Sequence[str]
) -> list[str]:
    """The command line that keeps *argv*; `keeper.py` tells what the pipes are for.

    The keeper reads neither the environment's nor the site's Python settings: its environment is
    the tool's.
    """
    descriptors = (str(control.reader), str(status.writer))
    keeper = [sys.executable, "-I", "-S", str(_KEEPER)]
    return [*keeper, isolation.value, str(os.getpid()), *descriptors, str(cwd.absolute()), *argv]
