"""The `data20` command called as a user calls it, and addresses where no API is."""

import json
import socket
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.system.stacks import COMMAND, RunningStack

MOST_SECONDS = 60


def data20(stack: RunningStack, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; *env* changes what the stack's environment says."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=stack.folder,
        env={**stack.env, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        check=False,
    )


def succeed(stack: RunningStack, *arguments: str, **env: str) -> str:
    """Run a command that must succeed; return its stdout."""
    ended = data20(stack, *arguments, **env)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def succeed_with_json(stack: RunningStack, *arguments: str) -> Any:  # noqa: ANN401  # JSON.
    """Run a command that must succeed and print one JSON document; return that."""
    return json.loads(succeed(stack, *arguments))


def complaint(stack: RunningStack, code: int, *arguments: str, **env: str) -> str:
    """Run a command that must end with *code* and one line on stderr; return that line."""
    ended = data20(stack, *arguments, **env)
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.startswith("data20: ")
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr.removeprefix("data20: ").removesuffix("\n")


@contextmanager
def started(
    folder: Path, env: Mapping[str, str], *arguments: str
) -> Generator[tuple["subprocess.Popen[bytes]", Path, Path]]:
    """Start a command; give it with the files its stdout and stderr go to. Kill it at the end."""
    out, err = folder / "started.out", folder / "started.err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    try:
        yield process, out, err
    finally:
        process.kill()
        process.wait()
        out.unlink()
        err.unlink()


@contextmanager
def api_alone(stack: RunningStack, port: int) -> Generator["subprocess.Popen[str]"]:
    """Run a further `data20 api` on the servers of *stack*; give it when it answers."""
    given = stack.child("worker").environ()
    servers = {name: given[name] for name in ("DATABASE_URL", "REDIS_URL")}
    process = subprocess.Popen(
        [*COMMAND, "api", "--port", str(port)],
        cwd=stack.folder,
        env={**stack.env, **servers},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert any(line.startswith("  ->  open ") for line in process.stdout)
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def nothing_listens() -> Generator[str]:
    """Give an address at which nobody listens, nor can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
