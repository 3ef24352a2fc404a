import os
import pty
import signal
import subprocess

import httpx2 as httpx

from tests.system.cli.commands import (
    MOST_SECONDS,
    api_alone,
    data20,
    nothing_listens,
    started,
    succeed,
    succeed_with_json,
)
from tests.system.stacks import COMMAND, RunningStack
from tests.waiting import until


def stored_lines(stack: RunningStack, job_id: str, stream: str) -> list[str]:
    """Return the lines of a stream as the API tells them in one answer."""
    url = f"{stack.url}/api/jobs/{job_id}/logs?limit=10000"
    answer = httpx.get(url, trust_env=False).json()
    assert answer["is_complete"]
    return [line["text"] for line in answer["lines"] if line["stream"] == stream]


def test_every_line_is_shown_once_and_in_order(stack: RunningStack) -> None:
    ended = data20(stack, "run", "speak", "lines=4000", "seconds=2", "-f")
    job_id = ended.stderr.splitlines()[0].removeprefix("data20: job ")
    assert ended.stdout.splitlines() == [f"out {number}" for number in range(1, 4001)]
    assert ended.stdout.splitlines() == stored_lines(stack, job_id, "stdout")
    errors = [line for line in ended.stderr.splitlines() if not line.startswith("data20: ")]
    assert errors == stored_lines(stack, job_id, "stderr")
    # More than the API gives at once, when the job has long ended.
    assert data20(stack, "jobs", "logs", job_id).stdout == ended.stdout
    assert data20(stack, "jobs", "logs", "-f", job_id).stdout == ended.stdout


async def test_an_api_that_is_started_again_costs_no_line(stack: RunningStack) -> None:
    """What `data20 up` starts again answers on the same socket; nobody notices."""
    command = ["run", "speak", "lines=60", "seconds=6", "-f"]
    with started(stack.folder, stack.env, *command) as (process, out, err):
        await until(lambda: b"out 5\n" in out.read_bytes(), what="the fifth line", within=60)
        stack.child("api").kill()
        await until(lambda: process.poll() is not None, what="the job to end", within=60)
        assert process.returncode == 0, err.read_text()
        assert out.read_text().splitlines() == [f"out {number}" for number in range(1, 61)]


async def test_an_api_that_is_away_for_a_while_costs_no_line(stack: RunningStack) -> None:
    with nothing_listens() as free:
        port = int(free.rpartition(":")[2])
    command = ["run", "speak", "lines=60", "seconds=6", "-f"]
    with (
        api_alone(stack, port) as api,
        started(stack.folder, {**stack.env, "DATA20_URL": free}, *command) as (process, out, err),
    ):
        await until(lambda: b"out 5\n" in out.read_bytes(), what="the fifth line", within=60)
        api.kill()
        api.wait()
        await until(
            lambda: b"asking again for 30 s" in err.read_bytes(), what="the note", within=60
        )
        with api_alone(stack, port):
            await until(lambda: process.poll() is not None, what="the job to end", within=60)
        assert process.returncode == 0, err.read_text()
        assert out.read_text().splitlines() == [f"out {number}" for number in range(1, 61)]
        assert err.read_text().count("asking again") == 1


async def test_ctrl_c_leaves_the_job_running_and_says_how_to_return(stack: RunningStack) -> None:
    command = ["run", "sleep", "seconds=60", "-f"]
    with started(stack.folder, stack.env, *command) as (process, _, err):
        await until(lambda: b"running" in err.read_bytes(), what="the job to run", within=30)
        process.send_signal(signal.SIGINT)
        await until(lambda: process.poll() is not None, what="the command to end", within=30)
        assert process.returncode == 130
        lines = err.read_text().splitlines()
    job_id = lines[0].removeprefix("data20: job ")
    assert lines[-1] == (
        f"data20: detached, the job goes on; see it with `data20 jobs logs -f {job_id}`, "
        f"end it with `data20 jobs cancel {job_id}`"
    )
    assert succeed_with_json(stack, "jobs", "show", job_id, "--json")["status"] == "running"
    succeed(stack, "jobs", "cancel", job_id, "--terminate")
    assert data20(stack, "jobs", "logs", "-f", job_id).returncode == 130


def test_a_terminal_shows_the_lines_and_a_bar(stack: RunningStack) -> None:
    screen = on_terminal(stack, "run", "sleep", "seconds=1", "steps=4", "-f")
    assert "100 %" in screen
    assert "completed after" in screen
    spoken = on_terminal(stack, "run", "speak", "lines=2", "word=\x1b]0;mine\x07last", "-f")
    assert all(line in spoken for line in ("out 1", "err 2", "merry: last"))
    assert "\x1b]0;mine" not in spoken


def on_terminal(stack: RunningStack, *arguments: str) -> str:
    """Run a command on a terminal of its own; return all that it wrote there."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=stack.folder,
        env={**stack.env, "TERM": "xterm-256color", "COLUMNS": "120"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    said = b""
    try:
        while chunk := _read(master):
            said += chunk
    finally:
        os.close(master)
        process.kill()
        process.wait(timeout=MOST_SECONDS)
    return said.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so when nobody has the other end open any more.
        return b""
