import signal
import subprocess
import sys
import time

import pytest

from tests.integration.shipped_tools.conftest import TOOLS

SLEEP = [sys.executable, str(TOOLS / "sleep.py")]


def run_sleep(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SLEEP, *arguments], capture_output=True, text=True, timeout=30, check=False
    )


def test_it_waits_as_long_as_it_is_told_and_ticks() -> None:
    started_at = time.monotonic()
    done = run_sleep("--seconds", "0.3", "--steps", "3")
    assert time.monotonic() - started_at >= 0.3
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "::progress 0 Waiting",
        "tick 1 of 3",
        "::progress 33.3 0.1 of 0.3 seconds",
        "tick 2 of 3",
        "::progress 66.7 0.2 of 0.3 seconds",
        "tick 3 of 3",
        "::progress 100 0.3 of 0.3 seconds",
        "Waited 0.3 seconds.",
    ]


def test_it_fails_in_the_end_when_told() -> None:
    done = run_sleep("--seconds", "0", "--fail")
    assert done.returncode == 1
    assert done.stderr == "Failing, as told.\n"
    assert "tick 20 of 20" in done.stdout


def test_sigterm_ends_it_at_once_with_a_last_word() -> None:
    with subprocess.Popen([*SLEEP, "--seconds", "60"], stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == "::progress 0 Waiting\n"
        asked_at = time.monotonic()
        tool.send_signal(signal.SIGTERM)
        last_line = tool.stdout.read().splitlines()[-1]
        assert tool.wait(10) == 143
        assert time.monotonic() - asked_at < 2
    assert last_line.startswith("Asked to stop after 0.")


@pytest.mark.parametrize(
    "arguments", [("--seconds", "-1"), ("--seconds", "nan"), ("--seconds", "inf"), ("--steps", "0")]
)
def test_impossible_waits_are_usage_errors(arguments: tuple[str, str]) -> None:
    done = run_sleep(*arguments)
    assert done.returncode == 2
    assert arguments[0] in done.stderr
    assert "must be" in done.stderr
