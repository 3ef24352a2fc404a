import signal
import time
from pathlib import Path

import pytest

from service.execution.isolation import Isolation
from service.store.states import Reason
from tests.integration.execution.runs import PYTHON, ToolRun

_HARMLESS = {"CHLD", "CLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "WINCH"}
DEADLY = [number for number in signal.Signals if number.name.removeprefix("SIG") not in _HARMLESS]


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        (0, None, None),
        (1, Reason.ERROR, "Exit code 1"),
        (2, Reason.USAGE, "Exit code 2"),
        (3, Reason.ERROR, "Exit code 3"),
        (255, Reason.ERROR, "Exit code 255"),
    ],
)
async def test_an_exit_code_is_reported_as_it_is(
    isolation: Isolation, code: int, reason: Reason | None, message: str | None
) -> None:
    outcome = await ToolRun("sh", "-c", f"exit {code}", isolation=isolation).run()

    assert (outcome.return_code, outcome.reason, outcome.message) == (code, reason, message)
    assert outcome.signals == ()
    assert 0 < outcome.duration_seconds < 10


@pytest.mark.parametrize("number", DEADLY)
async def test_each_death_by_signal_keeps_its_number(isolation: Isolation, number: int) -> None:
    """Process 1 of a namespace would survive most of them, and the tool would look completed."""
    tool = ToolRun("sh", "-c", f"kill -{int(number)} $$; sleep 60", isolation=isolation)

    outcome = await tool.run()

    assert outcome.return_code == -number
    assert outcome.reason is Reason.SIGNAL
    assert outcome.message is not None
    assert outcome.message.startswith(f"Killed by signal {int(number)}")
    assert outcome.signals == ()


async def test_a_signal_is_named_for_people(isolation: Isolation) -> None:
    outcome = await ToolRun("sh", "-c", "kill -SEGV $$", isolation=isolation).run()

    assert outcome.message == "Killed by signal 11 (SIGSEGV)"


async def test_a_command_that_is_not_there_is_an_outcome(isolation: Isolation) -> None:
    outcome = await ToolRun("no-such-command", isolation=isolation).run()

    assert (outcome.return_code, outcome.reason) == (127, Reason.ERROR)
    assert outcome.message == "Cannot run no-such-command: No such file or directory"


async def test_a_file_that_cannot_be_executed_is_an_outcome(
    isolation: Isolation, tmp_path: Path
) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text("no program\n")

    outcome = await ToolRun(str(plain), isolation=isolation).run()

    assert (outcome.return_code, outcome.reason) == (126, Reason.ERROR)
    assert outcome.message == f"Cannot run {plain}: Permission denied"


async def test_a_working_directory_that_is_gone_is_an_outcome(
    isolation: Isolation, tmp_path: Path
) -> None:
    tool = ToolRun("true", isolation=isolation)
    tool.cwd = tmp_path / "gone"

    outcome = await tool.run()

    assert (outcome.return_code, outcome.reason) == (126, Reason.ERROR)
    assert outcome.message is not None
    assert outcome.message.startswith("Cannot enter the working directory")


@pytest.mark.parametrize("argument", ["x" * 200_000, "a\0b"])
async def test_an_argument_the_system_refuses_is_an_outcome(
    isolation: Isolation, argument: str
) -> None:
    outcome = await ToolRun("true", argument, isolation=isolation).run()

    assert (outcome.return_code, outcome.reason) == (126, Reason.ERROR)


async def test_arguments_arrive_as_they_are(isolation: Isolation) -> None:
    arguments = ("", " two  spaces ", "$HOME", "--", "-x", "new\nline", "ünïcødé ✓", "\udcff")
    script = "import os, sys; print(list(map(os.fsencode, sys.argv[1:])))"
    tool = ToolRun(*PYTHON, script, *arguments, isolation=isolation)

    await tool.run()

    expected = [argument.encode("utf-8", "surrogateescape") for argument in arguments]
    assert tool.sink.texts == [str(expected)]


async def test_a_grandchild_that_holds_stdout_does_not_hold_the_job(isolation: Isolation) -> None:
    begun_at = time.monotonic()

    outcome = await ToolRun("sh", "-c", "sleep 600 & echo done", isolation=isolation).run()

    assert time.monotonic() - begun_at < 3
    assert outcome.reason is None
    assert outcome.output.text == "done\n"


async def test_a_tool_may_close_its_output_and_live_on(isolation: Isolation) -> None:
    script = "exec >&- 2>&-; sleep 0.1; exit 7"

    outcome = await ToolRun("sh", "-c", script, isolation=isolation).run()

    assert outcome.return_code == 7
