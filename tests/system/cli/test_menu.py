import os
import subprocess
import sys
import tempfile

import pytest

from tests.system.cli.commands import complaint, data20
from tests.system.stacks import COMMAND, RunningStack, clean_environment

HEAVY = ("alembic", "arq", "asyncio", "httpx2", "pydantic", "redis", "rich", "sqlalchemy")


def test_help_answers_in_less_than_a_third_of_a_second() -> None:
    """What counts is what it computes: it waits for nothing, but others may keep it waiting."""
    assert min(_seconds_computing("--help") for _ in range(5)) < 0.3


def _seconds_computing(*arguments: str) -> float:
    """Run the command; return the processor time it took."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=clean_environment(), stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


def test_the_menu_imports_nothing_that_takes_long() -> None:
    program = f"import sys, service.cli; print([name for name in {HEAVY} if name in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "[]\n"


@pytest.mark.parametrize(
    "command", ["up", "api", "worker", "tools", "run", "jobs", "demo", "doctor", "db"]
)
def test_help_names_every_command(stack: RunningStack, command: str) -> None:
    named = [line.split()[:1] for line in data20(stack, "--help").stdout.splitlines()]
    assert [command] in named
    own = data20(stack, command, "-h")
    assert own.returncode == 0
    assert own.stdout.startswith(f"Usage: data20 {command}")


def test_without_a_command_the_help_is_shown_as_a_usage_error(stack: RunningStack) -> None:
    ended = data20(stack)
    assert ended.returncode == 2
    assert ended.stderr.startswith("Usage: data20")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["jobs", "nonsense"], "No such command 'nonsense'"),
        (["run"], "Missing argument 'tool'"),
        (["tools", "--nonsense"], "No such option: --nonsense"),
        (["jobs", "--limit", "0"], "Invalid value for '--limit'"),
        (["up", "--port", "high"], "Invalid value for '--port'"),
        (["up", "--port", "65536"], "DATA20_PORT: Input should be less than or equal to 65535"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_code_2(
    stack: RunningStack, arguments: list[str], expected: str
) -> None:
    assert expected in complaint(stack, 2, *arguments)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DATA20_PORT", "high", "DATA20_PORT: Input should be a valid integer"),
        ("DATA20_URL", "ftp://here", "DATA20_URL: Value error, must be an address such as http"),
    ],
)
def test_a_wrong_setting_is_one_line_and_code_2(
    stack: RunningStack, name: str, value: str, expected: str
) -> None:
    assert expected in complaint(stack, 2, "tools", **{name: value})


def test_an_argument_that_is_no_text_is_refused() -> None:
    with tempfile.TemporaryDirectory(prefix="data20-tests-") as folder:
        ended = subprocess.run(
            [*(part.encode() for part in COMMAND), b"run", b"speak", b"word=\xff"],
            cwd=folder,
            env=clean_environment(),
            capture_output=True,
            check=False,
        )
    assert ended.returncode == 2
    assert ended.stderr == b"data20: 'word=\\udcff' is not UTF-8 text\n"
