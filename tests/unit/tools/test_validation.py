import math
from pathlib import Path
from typing import Any

import pytest

from service.errors import InvalidParametersError, Violation
from service.tools.tool import Tool
from service.tools.validation import validate
from tests.unit.tools.scripts import read_parser, read_script

SCRIPT = """
# /// script
# [tool.data20.parameters.seconds]
# minimum = 0
# ///
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("files", nargs="*")
parser.add_argument("--seconds", type=float, default=10.0)
parser.add_argument("--steps", type=int, required=True)
parser.add_argument("--mode", choices=["fast", "slow"])
parser.add_argument("--dry-run", action="store_true")
parser.add_argument("--pair", nargs=2, type=int)
parser.add_argument("--cache", nargs="?", const=True)
parser.parse_args()
"""


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    return read_script(tmp_path, SCRIPT)


def violations(tool: Tool, parameters: dict[str, Any]) -> list[Violation]:
    """Return what is wrong with *parameters*, of which something must be."""
    with pytest.raises(InvalidParametersError) as caught:
        validate(tool, parameters)
    assert all(violation.loc[:2] == ("body", "parameters") for violation in caught.value.violations)
    return caught.value.violations


def test_what_is_valid_comes_back_without_defaults(tool: Tool) -> None:
    given = {"steps": 3, "seconds": 1, "files": ["a"], "dry_run": False, "pair": [1, 2]}
    assert validate(tool, given) == given


def test_a_whole_float_becomes_an_integer_where_one_is_meant(tool: Tool) -> None:
    valid = validate(tool, {"steps": 3.0, "seconds": 3.0, "pair": [1.0, 2]})
    assert [type(value) for value in (valid["steps"], valid["seconds"], valid["pair"][0])] == [
        int,
        float,
        int,
    ]


def test_none_is_the_same_as_left_out(tool: Tool) -> None:
    assert validate(tool, {"steps": 1, "seconds": None}) == {"steps": 1}
    assert [one.rule for one in violations(tool, {"steps": None})] == ["required"]


@pytest.mark.parametrize(
    ("parameters", "place", "rule", "message"),
    [
        ({"seconds": -1}, "seconds", "minimum", "seconds must be at least 0"),
        ({"seconds": "1"}, "seconds", "type", "seconds must be a number"),
        ({"seconds": True}, "seconds", "type", "seconds must be a number"),
        ({"steps": True}, "steps", "type", "steps must be a whole number"),
        ({"steps": 1.5}, "steps", "type", "steps must be a whole number"),
        ({"mode": "x"}, "mode", "enum", "mode must be one of fast, slow"),
        ({"dry_run": 1}, "dry_run", "type", "dry_run must be true or false"),
        ({"pair": [1]}, "pair", "minItems", "pair needs at least 2 values"),
        ({"pair": [1, 2, 3]}, "pair", "maxItems", "pair takes at most 2 values"),
        ({"pair": 1}, "pair", "type", "pair must be a list"),
        ({"cache": 1}, "cache", "anyOf", "cache must be text or true or false"),
        (
            {"colour": 1},
            "colour",
            "additionalProperties",
            "unknown parameter colour; known: files, seconds, steps, mode, dry_run, pair, cache",
        ),
    ],
)
def test_a_violation_names_the_parameter_and_the_rule(
    tool: Tool, parameters: dict[str, Any], place: str, rule: str, message: str
) -> None:
    [violation] = violations(tool, {"steps": 1} | parameters)
    assert violation == Violation(("body", "parameters", place), rule, message, parameters[place])


def test_an_element_is_named_by_its_number(tool: Tool) -> None:
    [violation] = violations(tool, {"steps": 1, "files": ["a", 2]})
    assert violation.loc == ("body", "parameters", "files", 1)
    assert violation.message == "files[1] must be text"


def test_all_that_is_wrong_is_said_at_once(tool: Tool) -> None:
    found = violations(tool, {"colour": 1, "size": 2, "mode": "x", "seconds": -1})
    assert [one.rule for one in found] == [
        "required",
        "additionalProperties",
        "additionalProperties",
        "minimum",
        "enum",
    ]


def test_a_tool_without_parameters_says_so(tmp_path: Path) -> None:
    [violation] = violations(read_script(tmp_path, "x = 1"), {"a": 1})
    assert violation.message == "unknown parameter a; the tool takes none"


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("a\0b", "pattern"),
        ("\ud800", "pattern"),
        (math.nan, "format"),
        (math.inf, "format"),
        (2**63, "format"),
        (-(2**63) - 1, "format"),
        pytest.param(10**5000, "format", id="too long to be written"),
    ],
)
@pytest.mark.parametrize("parameter", ["seconds", "files"])
def test_what_no_command_line_can_carry_is_refused(
    tool: Tool, parameter: str, value: object, rule: str
) -> None:
    given = [value] if parameter == "files" else value
    [violation] = violations(tool, {"steps": 1, parameter: given})
    assert violation.rule == rule
    assert violation.loc[2] == parameter
    assert violation.message.encode()  # Fit to be sent back.
    assert str(violation.value).encode()


def test_the_largest_integers_pass(tool: Tool) -> None:
    assert validate(tool, {"steps": 1, "pair": [2**63 - 1, -(2**63)]})
    assert [one.rule for one in violations(tool, {"steps": 1e300})] == ["format"]


def test_a_name_that_is_no_text_is_refused_in_escapes(tool: Tool) -> None:
    [violation] = violations(tool, {"steps": 1, "a\ud800": 1})
    assert violation.rule == "propertyNames"
    assert violation.loc == ("body", "parameters", r"a\ud800")


def test_deep_nesting_is_refused_before_anything_looks_deeper(tool: Tool) -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    try:
        [violation] = violations(tool, {"steps": 1, "files": value})
        assert violation.rule == "maxDepth"
    finally:
        while value:  # Freed level by level: Python's own way would recurse.
            value = value.pop()


def test_a_flood_of_violations_is_cut(tool: Tool) -> None:
    assert len(violations(tool, {f"p{number}": 1 for number in range(10_000)})) == 100


def test_arguments_beyond_32_kib_are_refused(tool: Tool) -> None:
    assert validate(tool, {"steps": 1, "files": ["x" * 32_000]})
    [violation] = violations(tool, {"steps": 1, "files": ["é" * 16_384]})
    assert (violation.rule, violation.loc) == ("maxLength", ("body", "parameters"))


def test_a_bare_separator_is_refused_rather_than_lost(tool: Tool) -> None:
    for parameters in ({"files": ["--"]}, {"cache": "--"}):
        [violation] = violations(tool, {"steps": 1} | parameters)
        assert "must not be a bare --" in violation.message


def test_what_excludes_each_other_is_refused_together(tmp_path: Path) -> None:
    tool = read_script(
        tmp_path,
        """
        import argparse
        parser = argparse.ArgumentParser()
        group = parser.add_mutually_exclusive_group(required=True)
        group.add_argument("--fast", action="store_true")
        group.add_argument("--speed", type=int)
        parser.parse_args()
        """,
    )
    assert [one.message for one in violations(tool, {"fast": True, "speed": 1})] == [
        "fast and speed exclude each other"
    ] * 2
    assert [one.message for one in violations(tool, {"fast": False})] == [
        "one of fast, speed is required"
    ]
    assert validate(tool, {"fast": False, "speed": 1})


def test_an_open_tool_takes_what_we_do_not_know(tmp_path: Path) -> None:
    tool = read_parser(tmp_path, '"--seen", type=int\n*unknown')
    assert validate(tool, {"other-name": [1, "x"], "flag": True})
    assert [one.rule for one in violations(tool, {"seen": "x"})] == ["type"]
    [violation] = violations(tool, {"other": {"a": 1}})
    assert violation.rule == "anyOf"
    for name in ("-x", "a=b", "a b", ""):
        [violation] = violations(tool, {name: 1})
        assert violation.rule == "propertyNames"
