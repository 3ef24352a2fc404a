import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.cli.commands import complaint, nothing_listens, started, succeed
from tests.system.stacks import (
    CHECKOUT,
    COMMAND,
    RunningStack,
    clean_environment,
    programs_in,
    stack_folder,
)
from tests.waiting import until

MOST_SECONDS = 90
"""For a whole demonstration; a quiet machine takes less than eight."""

WAITS = """\
# /// script
# [tool.data20]
# max_retries = 0
# ///
import time
print("waiting", flush=True)
time.sleep(600)
"""
FAILS = WAITS.replace("time.sleep(600)", 'raise SystemExit("no notes today")')


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Give a folder in which one demonstration after another is run."""
    with stack_folder() as folder:
        yield folder


@pytest.fixture
def environment(folder: Path) -> Iterator[dict[str, str]]:
    """Give settings with which no service that runs is found, and a proxy that leads nowhere."""
    with nothing_listens() as url, nothing_listens() as proxy:
        yield clean_environment(
            DATA20_URL=url,
            DATA20_VAR_DIR=str(folder / "var"),
            DATA20_TOOLS_DIR=str(CHECKOUT / "tools"),
            HTTP_PROXY=proxy,
            http_proxy=proxy,
        )


def demonstrate(folder: Path, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, "demo"],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("time", ["first", "second"])
def test_the_demo_draws_the_notes_and_leaves_nothing_running(
    folder: Path, environment: dict[str, str], time: str
) -> None:
    ended = demonstrate(folder, environment)
    assert ended.returncode == 0, ended.stderr
    page = folder / "var" / "demo" / "graph.html"
    assert f"->  open       {page}\n" in ended.stdout
    assert page.read_text().lower().startswith("<!doctype html>")
    assert re.search(r"ok  graph      \d+ notes, \d+ links\n", ended.stdout)
    assert re.search(r"central    1\. \w+", ended.stdout)
    assert "  5. " in ended.stdout
    assert "The most central:" in ended.stdout  # The tool itself said so.
    assert [path.name for path in page.parent.glob("*.part")] == []
    assert programs_in(folder) == []
    took = re.search(r"took ([\d.]+) s, ([\d.]+) s with all that started", ended.stdout)
    assert took is not None
    assert float(took[1]) < float(took[2]) < MOST_SECONDS
    print(f"the {time} demonstration took {took[2]} s to the end of its job")  # noqa: T201  # A figure.


def test_a_demo_whose_job_fails_ends_with_code_1(folder: Path, environment: dict[str, str]) -> None:
    ended = demonstrate(folder, environment | tools_with(folder / "failing", FAILS))
    assert ended.returncode == 1
    assert "no notes today" in ended.stderr
    assert "data20: failed after" in ended.stderr
    assert programs_in(folder) == []


async def test_ctrl_c_ends_the_demo_and_all_it_started(
    folder: Path, environment: dict[str, str]
) -> None:
    env = environment | tools_with(folder / "waiting", WAITS) | {"DATA20_DRAIN_SECONDS": "0"}
    with started(folder, env, "demo") as (process, out, _):
        await until(
            lambda: "waiting\n" in out.read_text(), what="the job to run", within=MOST_SECONDS
        )
        process.send_signal(signal.SIGINT)
        await until(lambda: process.poll() is not None, what="the demo to end", within=60)
    assert process.returncode == 130
    assert programs_in(folder) == []


def tools_with(folder: Path, source: str) -> dict[str, str]:
    """Give settings that put *source* in the place of the tool the demo runs."""
    folder.mkdir()
    (folder / "build_graph.py").write_text(source)
    return {"DATA20_TOOLS_DIR": os.pathsep.join((str(folder), str(CHECKOUT / "tools")))}


def test_the_demo_uses_a_service_that_runs(stack: RunningStack) -> None:
    said = succeed(stack, "demo")
    assert said.startswith(f"Using the service at {stack.url}\n")
    assert (stack.var_dir / "demo" / "graph.html").exists()
    assert "data20 0." not in said  # It started none of its own.


def test_the_demo_says_whose_folder_it_is(stack: RunningStack) -> None:
    """The folder's servers run, and the API is not where the settings say."""
    with nothing_listens() as url:
        said = complaint(stack, 1, "demo", DATA20_URL=url)
    assert said.startswith(f"No service that is ready answers at {url}, and yet: Process ")
    assert said.endswith("DATA20_URL says where it is")
