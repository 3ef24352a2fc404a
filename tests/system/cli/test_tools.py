import os
import subprocess

import pytest

from tests.system.cli.commands import complaint, succeed, succeed_with_json
from tests.system.stacks import COMMAND, RunningStack


def test_tools_are_listed_with_title_and_category(stack: RunningStack) -> None:
    lines = [line.split("  ") for line in succeed(stack, "tools").splitlines()]
    rows = {line[0]: [cell.strip() for cell in line[1:] if cell.strip()] for line in lines}
    assert rows["name"] == ["title", "category"]
    assert rows["speak"] == ["Speak", "Tests"]
    assert rows["build_graph"] == ["Draw the notes and their links as a graph", "Knowledge"]


def test_a_broken_tool_is_listed_with_the_reason(stack: RunningStack) -> None:
    row = next(line for line in succeed(stack, "tools").splitlines() if "unreadable" in line)
    assert "!! [tool.data20] queue must be one of tools, default, maintenance" in row


def test_tools_as_json_are_what_the_api_answers(stack: RunningStack) -> None:
    answer = succeed_with_json(stack, "tools", "--json")
    named = {tool["name"]: tool for tool in answer["tools"]}
    assert answer["total"] == len(named)
    assert named["unreadable"]["broken"] is True
    assert named["speak"] == succeed_with_json(stack, "tools", "speak", "--json")


def test_one_tool_is_shown_with_its_parameters(stack: RunningStack) -> None:
    page = succeed(stack, "tools", "speak")
    assert page.startswith("speak: Speak\nSay what is asked, on both streams")
    rows = [line.split() for line in page.splitlines()]
    assert ["parameter", "type", "default", "required", "help"] in rows
    assert ["lines", "integer", "3", "lines", "to", "say", "on", "each", "stream"] in rows
    assert ["mood", "merry", "|", "sad", '"merry"', "Mood"] in rows
    assert any(row[:4] == ["word", "list", "of", "string"] for row in rows)


def test_a_required_parameter_is_marked(stack: RunningStack) -> None:
    page = succeed(stack, "tools", "mark")
    assert any("yes" in line.split() for line in page.splitlines())


def test_an_unknown_tool_is_refused(stack: RunningStack) -> None:
    assert complaint(stack, 4, "tools", "nothing") == "Tool nothing not found"


@pytest.mark.parametrize("arguments", [["tools"], ["tools", "--json"], ["tools", "speak"]])
def test_an_answer_that_nobody_reads_is_no_fault_of_ours(
    stack: RunningStack, arguments: list[str]
) -> None:
    """`data20 tools | true` closes the pipe before anything is written."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        ended = subprocess.run(
            [*COMMAND, *arguments],
            cwd=stack.folder,
            env=stack.env,
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.stderr == ""
    assert ended.returncode == 1
