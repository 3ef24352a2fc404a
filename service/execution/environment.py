"""The environment a tool gets: what it needs to run, and no secret of the service's."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_PASSED_ON = frozenset({"LANG", "LANGUAGE", "PATH", "TZ"})
_PASSED_ON_PREFIX = "LC_"


def build_environment(
    inherited: Mapping[str, str],
    *,
    work: Path,
    tmp: Path,
    job_id: object,
    tool: str,
    attempt: int,
) -> dict[str, str]:
    """The whole environment of one attempt.

    Of *inherited*, the worker's own, only what stands on a list of harmless names is passed on.
    The tool's home is its working directory *work*; its temporary files go to *tmp*. `python3` is
    the interpreter that runs the service, with what is installed beside it.
    """
    environment = {
        name: value
        for name, value in inherited.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIX)
    }
    environment.setdefault("LANG", "C.UTF-8")
    environment |= {
        "PATH": _put_first(Path(sys.executable).parent, environment.get("PATH", os.defpath)),
        "HOME": str(work),
        "TMPDIR": str(tmp),
        "COLUMNS": "80",
        "PYTHONUNBUFFERED": "1",  # So that output is seen when it is written.
        "PYTHONUTF8": "1",
        "PYTHONIOENCODING": "utf-8",
        "DATA20_JOB_ID": str(job_id),
        "DATA20_TOOL": tool,
        "DATA20_ATTEMPT": str(attempt),
    }
    if sys.prefix != sys.base_prefix:
        environment["VIRTUAL_ENV"] = sys.prefix
    return environment


def _put_first(folder: Path, path: str) -> str:
    others = [entry for entry in path.split(os.pathsep) if entry and entry != str(folder)]
    return os.pathsep.join([str(folder), *others])
