from pathlib import Path

import pytest

from service.tools.options import KEYS, Options, OptionsError, ParameterOptions, read_options
from service.tools.source import read_tool
from tests.unit.tools.scripts import read_script, write_script


def block(*lines: str) -> str:
    """Return a script block with these lines of TOML."""
    return "\n".join(["# /// script", *(f"# {line}".rstrip() for line in lines), "# ///", ""])


def table(*lines: str) -> str:
    """Return a script block whose `[tool.data20]` table holds these lines."""
    return block("[tool.data20]", *lines)


def test_every_key_is_read() -> None:
    options = read_options(
        "#!/usr/bin/env python3\n"
        + table(
            'name = "another"',
            'title = "A title"',
            'category = "graphs"',
            'queue = "maintenance"',
            "soft_time_limit = 50",
            "time_limit = 60",
            "max_retries = 0",
            "retry_delay = 1.5",
            "priority = 10",
            'workspace = "job"',
            "[tool.data20.parameters.steps]",
            "minimum = 1",
            "maximum = 2.5",
            'title = "Steps"',
            "examples = [1, 2]",
            "enum = [1, 2]",
        )
    )
    steps = ParameterOptions(minimum=1, maximum=2.5, title="Steps", examples=[1, 2], enum=[1, 2])
    assert options == Options(
        name="another",
        title="A title",
        category="graphs",
        queue="maintenance",
        soft_time_limit=50,
        time_limit=60,
        max_retries=0,
        retry_delay=1.5,
        priority=10,
        workspace="job",
        parameters={"steps": steps},
    )
    assert all(getattr(options, key) for key in KEYS if key != "max_retries")


@pytest.mark.parametrize(
    "source",
    [
        "",
        "x = 1",
        block('dependencies = ["numpy"]'),
        block("[tool.other]", "a = 1"),
        "# /// script\n# [tool.data20]\n# title = 'never closed'\nx = 1\n",
        "# /// other\n# [tool.data20]\n# title = 'another kind'\n# ///\n",
    ],
)
def test_without_a_table_all_is_left_to_the_service(source: str) -> None:
    assert read_options(source) == Options()


def test_the_last_closing_line_counts() -> None:
    """As the specification has it: one before may be part of the TOML."""
    assert read_options(block("[tool.data20]", 'title = """', "///", '"""')).title == "///\n"


def test_a_block_with_windows_newlines_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tool.py"
    path.write_bytes(table('title = "Windows"').replace("\n", "\r\n").encode())
    assert read_tool("tool", path, tmp_path).title == "Windows"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (table("colour = 1"), "[tool.data20] has an unknown key colour"),
        (table("time_limit = 0"), "time_limit: Input should be greater than or equal to 1"),
        (table('time_limit = "9"'), "time_limit: Input should be a valid integer"),
        (table("time_limit = true"), "time_limit: Input should be a valid integer"),
        (table("max_retries = 101"), "max_retries: Input should be less than or equal to 100"),
        (table("retry_delay = -1"), "retry_delay: Input should be greater than or equal to 0"),
        (table("retry_delay = inf"), "retry_delay: Input should be a finite number"),
        (
            table("retry_delay = 1e300"),
            "retry_delay: Input should be less than or equal to 31536000",
        ),
        (table("priority = 11"), "priority: Input should be less than or equal to 10"),
        (table("title = 1"), "title: Input should be a valid string"),
        (table("title = 2026-01-01"), "title: Input should be a valid string"),
        (table('title = ""'), "title: String should have at least 1 character"),
        (table('workspace = "mine"'), "workspace: Input should be 'job'"),
        (table('queue = "fast"'), "queue must be one of tools, default, maintenance"),
        (
            table("soft_time_limit = 9", "time_limit = 8"),
            "soft_time_limit must not be above time_limit",
        ),
        (table("parameters.n.colour = 1"), "has an unknown key parameters.n.colour"),
        (table('parameters.n.minimum = "1"'), "parameters.n.minimum: Input should be a valid int"),
        (table("parameters.n.enum = []"), "parameters.n.enum: List should have at least 1 item"),
        (
            table("parameters.n.minimum = 2", "parameters.n.maximum = 1"),
            "parameters.n.minimum is above its maximum",
        ),
        (block("tool.data20 = 1"), "[tool.data20] table: Input should be"),
        (block("[tool.data20"), "the script block is not TOML"),
        (table() + "\n" + table(), "there is more than one script block"),
    ],
)
def test_a_rule_that_is_broken_is_named(source: str, reason: str) -> None:
    with pytest.raises(OptionsError) as caught:
        read_options(source)
    assert reason in str(caught.value)


def test_additions_show_in_the_schema(tmp_path: Path) -> None:
    tool = read_script(
        tmp_path,
        table(
            "[tool.data20.parameters.steps]",
            "minimum = 1",
            "maximum = 9",
            'title = "How often"',
            "examples = [3]",
        )
        + "import argparse\n"
        "parser = argparse.ArgumentParser()\n"
        'parser.add_argument("--steps", type=int, default=0)\n',
    )
    assert tool.schema["properties"]["steps"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 9,
        "title": "How often",
        "examples": [3],
    }


@pytest.mark.parametrize(
    ("addition", "reason"),
    [
        ("parameters.stepz.minimum = 1", "parameters.stepz: the tool has no such parameter"),
        ("parameters.name.minimum = 1", "minimum and maximum need a parameter that is a number"),
        ("parameters.steps.enum = ['a']", "parameters.steps.enum: 'a' is not of type integer"),
        ("parameters.steps.enum = [true]", "parameters.steps.enum: True is not of type integer"),
        ("parameters.fast.enum = [true]", "parameters.fast.enum: a flag has no further values"),
    ],
)
def test_an_addition_that_does_not_fit_breaks_the_tool(
    tmp_path: Path, addition: str, reason: str
) -> None:
    path = write_script(
        tmp_path,
        "tool",
        table(addition) + "import argparse\n"
        "parser = argparse.ArgumentParser()\n"
        'parser.add_argument("--name")\n'
        'parser.add_argument("--steps", type=int)\n'
        'parser.add_argument("--fast", action="store_true")\n',
    )
    tool = read_tool("tool", path, tmp_path)
    assert tool.broken_reason is not None
    assert reason in tool.broken_reason
