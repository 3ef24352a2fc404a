import os
import sys
from pathlib import Path

from service.execution.environment import build_environment

SECRETS = {
    "DATABASE_URL": "postgresql://secret",
    "REDIS_URL": "redis://secret",
    "DATA20_ADMIN_TOKEN": "secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "HOME": "/home/service",
    "LD_PRELOAD": "/evil.so",
    "PYTHONPATH": "/elsewhere",
    "XDG_RUNTIME_DIR": "/run/user/0",
}


def _build(**inherited: str) -> dict[str, str]:
    return build_environment(
        inherited, work=Path("/w/work"), tmp=Path("/w/tmp"), job_id="id", tool="greet", attempt=2
    )


def test_what_a_tool_is_given_is_this_and_nothing_else() -> None:
    environment = _build(PATH="/usr/bin:/bin", TZ="Europe/Berlin", LC_TIME="de_DE", **SECRETS)

    environment.pop("VIRTUAL_ENV", None)
    assert environment == {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "TZ": "Europe/Berlin",
        "LC_TIME": "de_DE",
        "LANG": "C.UTF-8",
        "HOME": "/w/work",
        "TMPDIR": "/w/tmp",
        "COLUMNS": "80",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "PYTHONIOENCODING": "utf-8",
        "DATA20_JOB_ID": "id",
        "DATA20_TOOL": "greet",
        "DATA20_ATTEMPT": "2",
    }


def test_python3_is_the_interpreter_of_the_service() -> None:
    folder = str(Path(sys.executable).parent)

    assert _build(PATH=f"/usr/bin:{folder}")["PATH"] == f"{folder}:/usr/bin"
    assert _build()["PATH"] == f"{folder}:{os.defpath.lstrip(':')}"


def test_a_language_that_is_set_is_kept() -> None:
    assert _build(LANG="de_DE.UTF-8")["LANG"] == "de_DE.UTF-8"
