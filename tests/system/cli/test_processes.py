"""The API, the worker and the schema as commands of their own, on servers of somebody else."""

import re
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.system.stacks import CHECKOUT, COMMAND, TEST_TOOLS, RunningStack, clean_environment
from tests.waiting import until


def test_up_says_what_it_found_before_it_says_where(stack: RunningStack) -> None:
    said = "\n".join(stack.said)
    assert re.search(r"ok  database   PostgreSQL 18\.\d+, embedded", said)
    assert re.search(r"ok  schema     brought from nothing to \d+", said)
    assert re.search(r"ok  broker     Valkey 9\.\S+ \(database 1\), embedded", said)
    assert re.search(r"ok  tools      \d+ tools in ", said)
    assert re.search(r"!!             unreadable cannot be run: ", said)
    assert re.search(r"ok  isolation  (pid namespace|sub-reaper)", said)
    assert re.search(r"ok  worker     worker@\S+, 4 jobs at a time", said)


@pytest.fixture
def env(database_url: str, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """Give what the commands need to know: servers of their own, and the tools of the tests."""
    return clean_environment(
        DATABASE_URL=database_url,
        REDIS_URL=redis_url,
        DATA20_TOOLS_DIR=str(TEST_TOOLS),
        DATA20_VAR_DIR=str(tmp_path / "var"),
        DATA20_PORT="0",
        DATA20_LOG_LEVEL="error",
    )


def upgrade(env: dict[str, str]) -> str:
    done = subprocess.run(
        [*COMMAND, "db", "upgrade"], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout


@contextmanager
def running(
    env: dict[str, str], *arguments: str, last: str
) -> Generator[tuple[list[str], "subprocess.Popen[str]"]]:
    """Run a command, give what it says up to the line that has *last*; it must end well."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=env, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line.rstrip())
            if last in line:
                break
        else:
            raise AssertionError(f"it ended: {said}")
        yield said, process
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode in {0, -signal.SIGTERM}
    finally:
        process.kill()
        process.communicate()


def test_an_upgrade_can_be_done_twice(env: dict[str, str]) -> None:
    assert re.fullmatch(r"The schema went from nothing to \d+\n", upgrade(env))
    assert re.fullmatch(r"The schema is at \d+; nothing to do\n", upgrade(env))


async def test_an_api_and_a_worker_on_the_same_servers_run_a_job(env: dict[str, str]) -> None:
    upgrade(env)
    worker = ("worker", "--concurrency", "2", "--queues", "default,tools", "--name", "batch@%h")
    with (
        running(env, "api", last="open") as (api_said, _),
        running(env, *worker, last="worker ") as (worker_said, _),
    ):
        url = api_said[-1].split()[-1]
        assert re.search(r"ok  database   PostgreSQL 18\.\d+, ", "\n".join(api_said))
        assert re.search(r"ok  isolation  ", "\n".join(worker_said))
        assert re.search(
            r"ok  worker     batch@\S+, 2 at a time, queues default, tools$", worker_said[-1]
        )
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            asked = await client.post(
                "/api/run", json={"tool_name": "speak", "parameters": {"lines": 1}}
            )
            job_id = asked.json()["job_id"]

            async def is_done() -> bool:
                return (await client.get(f"/api/jobs/{job_id}")).json()["status"] == "completed"

            await until(is_done, what="the job to be completed", within=30)


async def test_up_takes_the_servers_it_is_given(env: dict[str, str]) -> None:
    """It starts none of its own, and brings their schema up to date."""
    with running(env, "up", last="->  open") as (said, _):
        assert "embedded" not in "\n".join(said)
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{said[-1].split()[-1]}/ready")
        assert answer.json()["workers"] == 1
    assert not (Path(env["DATA20_VAR_DIR"]) / "postgres").exists()


def test_a_worker_without_a_schema_says_what_to_do(env: dict[str, str]) -> None:
    """It waits: whoever upgrades the database need not start it again."""
    process = subprocess.Popen(
        [*COMMAND, "worker"],
        env={**env, "DATA20_LOG_LEVEL": "warning"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert any("data20 db upgrade" in line for line in process.stderr)
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
