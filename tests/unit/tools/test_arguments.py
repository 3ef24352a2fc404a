"""Arguments as a real argparse reads them back."""

import argparse
import json
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import InvalidParametersError
from service.tools.arguments import build_argv
from service.tools.tool import Tool
from service.tools.validation import validate
from tests.unit.tools.scripts import (
    parser_source,
    read_parser,
    read_script,
    real_parser,
)

OPTIONS = """
    "--text"
    "-s"
    "-w", "--wide", "--wider"
    "-single"
    "--count", type=int
    "--ratio", type=float
    "--truth", type=bool
    "--maybe", nargs="?", const=True
    "--one", nargs=1
    "--two", nargs=2
    "--many", nargs="*"
    "--some", nargs="+"
    "--numbers", nargs="+", type=int
    "--ratios", nargs="+", type=float
    "--tag", action="append"
    "--pairs", action="append", nargs=2
    "--more", action="extend", nargs="+"
    "-v", "--verbose", action="count", default=1
    "--dry-run", action="store_true"
    "--no-cache", dest="cache", action="store_false"
    "--colour", action=argparse.BooleanOptionalAction, default=True
    "--json", dest="shape", action="store_const", const="json"
    "--csv", dest="shape", action="store_const", const="csv"
"""
POSITIONALS = [
    '"first"',
    '"first"\n"second", type=int',
    '"first", nargs="?"',
    '"first", nargs="?"\n"second", nargs="?"',
    '"first", nargs="*"',
    '"first", nargs="+"\n"second"',
    '"first"\n"second", nargs="*"\n"third", nargs="?"',
    '"first", nargs="?"\n"second", nargs=2',
]

HOSTILE = (
    "", "-", "--", "---", "-x", "-h", "--help", "--text", "--text=x", "-s", "-sx", "-1", "-1.5",
    "-1e5", "=", "==", "=x", "x=", "a=b=c", " ", "  x  ", "-x y", "\n", "a\nb", "\r\n", "\t", "'",
    '"', "`id`", "$(id)", "$HOME", "; rm -rf /", "&& true", "| cat", "> /dev/null", "*", "?", "[a]",
    "~", "\\", "\\n",
    "%s", "%(prog)s", "{0}", "@file", "@/etc/passwd", "!x", "#x", "é", "e\u0301", "ß",
    "日本", "🙂", "\u202egnp.exe", "\u200f", "\u200b", "\ufeff", "\x01", "\x1b[31m", "\x7f", "\x85",
    "\u2028", "\U0010ffff", "\ufffe", "true", "None", "null", "0", "\u0661", "-\u0661",
    "../../etc/passwd", "x" * 200,
)  # fmt: skip
"""Texts that some program takes for something else than text."""

texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    st.tuples(st.sampled_from(["-", "--", "=", "@", " "]), st.sampled_from(HOSTILE)).map("".join),
)
wholes = st.integers(-(2**63), 2**63 - 1)
ratios = st.floats(allow_nan=False, allow_infinity=False)
booleans = st.booleans()
pairs = st.lists(texts, min_size=2, max_size=2)
several = st.lists(texts, min_size=1, max_size=4)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": texts,
    "s": texts,
    "wide": texts,
    "single": texts,
    "count": wholes,
    "ratio": ratios,
    "truth": booleans,
    "maybe": st.one_of(texts, st.just(value=True)),
    "one": st.lists(texts, min_size=1, max_size=1),
    "two": pairs,
    "many": st.lists(texts, max_size=4),
    "some": several,
    "numbers": st.lists(wholes, min_size=1, max_size=4),
    "ratios": st.lists(ratios, min_size=1, max_size=4),
    "tag": several,
    "pairs": st.lists(pairs, min_size=1, max_size=3),
    "more": several,
    "verbose": st.integers(1, 5),
    "dry_run": booleans,
    "cache": booleans,
    "colour": booleans,
    "shape": st.sampled_from(["json", "csv"]),
}
SEPARATE = ("two", "many", "some", "pairs")
"""Options whose values stand as arguments of their own when there are several."""


def accepted(tool: Tool, parameters: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the arguments; None when they are refused."""
    try:
        return build_argv(tool, validate(tool, parameters))
    except InvalidParametersError:
        return None


def flat(value: object) -> list[object]:
    """Return every single value in *value*."""
    if not isinstance(value, list):
        return [value]
    return [single for element in cast("list[object]", value) for single in flat(element)]


def may_be_refused(name: str, value: object) -> bool:
    """Tell whether refusing *value* is right: nothing else could keep it whole."""
    singles = [str(single) for single in flat(value)]
    has_dash = any(single.startswith("-") and single != "-" for single in singles)
    return "--" in singles or (name in SEPARATE and len(singles) > 1 and has_dash)


@cache
def case(declared: str) -> tuple[Tool, argparse.ArgumentParser]:
    """Return the parser that declares these arguments, as we read it and as it is."""
    with tempfile.TemporaryDirectory() as folder:
        tool = read_parser(Path(folder), declared)
    return tool, real_parser(parser_source(declared))


@settings(max_examples=300, deadline=None, database=None)
@given(parameters=st.fixed_dictionaries({}, optional=VALUES))
def test_argparse_reads_every_option_back_as_it_was_sent(parameters: dict[str, Any]) -> None:
    """What is accepted arrives whole and alone; only what could not is refused."""
    tool, parser = case(OPTIONS)
    argv = accepted(tool, parameters)
    if argv is None:
        assert any(may_be_refused(name, value) for name, value in parameters.items())
    else:
        untouched = {name: parser.get_default(name) for name in VALUES}
        assert vars(parser.parse_args(argv)) == untouched | parameters


def values_of(tool: Tool) -> st.SearchStrategy[dict[str, Any]]:
    """Draw values for a tool's parameters, with what it requires."""
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for name, schema in tool.schema["properties"].items():
        single = wholes if schema["type"] == "integer" else texts
        least, most = schema.get("minItems", 1), schema.get("maxItems", 3)
        values = st.lists(texts, min_size=least, max_size=most)
        (required if name in tool.schema["required"] else optional)[name] = (
            values if schema["type"] == "array" else single
        )
    return st.fixed_dictionaries(required, optional=optional)


@pytest.mark.parametrize("declared", POSITIONALS)
@settings(max_examples=150, deadline=None, database=None)
@given(data=st.data())
def test_argparse_reads_every_positional_back_as_it_was_sent(
    declared: str, data: st.DataObject
) -> None:
    """A positional is refused only where argparse would hand its value to another."""
    tool, parser = case(f'"--list", nargs="*"\n{declared}')
    parameters = data.draw(values_of(tool))
    argv = accepted(tool, parameters)
    if argv is not None:
        read = vars(parser.parse_args(argv))
        assert {name: read[name] for name in parameters} == parameters
    elif not any(may_be_refused(name, value) for name, value in parameters.items()):
        assert read_anyhow(tool, parser, parameters) != parameters


def read_anyhow(
    tool: Tool, parser: argparse.ArgumentParser, parameters: dict[str, Any]
) -> dict[str, Any]:
    """Read what argparse makes of the positionals when nobody checks their places."""
    values = [
        str(value)
        for known in tool.signature.positionals
        for value in flat(parameters.get(known.name, []))
    ]
    read = vars(parser.parse_args(["--", *values]))
    return {name: read[name] for name in parameters if name != "list"}


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_text_arrives_byte_for_byte_or_not_at_all(value: str) -> None:
    tool, parser = case('"--text"\n"-s"\n"--tag", action="append"\n"first"\n"rest", nargs="*"')
    parameters = {"text": value, "s": value, "tag": [value] * 2, "first": value, "rest": [value]}
    argv = accepted(tool, parameters)
    if value == "--":
        assert argv is None
    else:
        assert argv is not None
        assert vars(parser.parse_args(argv)) == parameters


def test_thousands_of_hostile_values_arrive_in_a_real_process(tmp_path: Path) -> None:
    tool = read_script(
        tmp_path,
        """
        import argparse, json, sys
        parser = argparse.ArgumentParser()
        parser.add_argument("--tag", action="append")
        parser.add_argument("values", nargs="*")
        json.dump(vars(parser.parse_args()), sys.stdout)
        """,
    )
    prefixes = ("", "-", "--tag=", "\n", '"', "é")
    values = [prefix + value[:40] for prefix in prefixes for value in HOSTILE]
    values = [value for value in values if value != "--"]
    for start in range(0, len(values), 200):
        some = values[start : start + 200]
        parameters = {"tag": some, "values": some}
        argv = build_argv(tool, validate(tool, parameters))
        done = subprocess.run([*tool.command, *argv], capture_output=True, check=True)
        assert json.loads(done.stdout) == parameters


@pytest.mark.parametrize(
    ("declared", "parameters", "argv"),
    [
        ('"--name"', {"name": "-x"}, ("--name=-x",)),
        ('"-n"', {"n": "=x"}, ("-n==x",)),
        ('"-n", "--name"', {"name": ""}, ("--name=",)),
        ('"--a"\n"--b"', {"b": "1", "a": "2"}, ("--a=2", "--b=1")),
        ('"--a"\n"b"', {"a": None, "b": "-1"}, ("--", "-1")),
        ('"a", type=int\n"--b"', {"a": -1, "b": "x"}, ("--b=x", "--", "-1")),
        ('"--f", action="store_true"', {"f": True}, ("--f",)),
        ('"--f", action="store_true"', {"f": False}, ()),
        ('"--f", action="store_true", default=True', {"f": True}, ()),
        ('"--f", dest="g", action="store_false"', {"g": False}, ("--f",)),
        ('"--f", action=argparse.BooleanOptionalAction', {"f": False}, ("--no-f",)),
        (
            '"--f", action=argparse.BooleanOptionalAction, required=True, default=False',
            {"f": False},
            ("--no-f",),
        ),
        (
            """
            "--one", dest="n", action="store_const", const=1
            "--yes", dest="n", action="store_const", const=True
            """,
            {"n": True},
            ("--yes",),
        ),
        ('"-v", action="count"', {"v": 3}, ("-v", "-v", "-v")),
        ('"-v", action="count", default=2', {"v": 3}, ("-v",)),
        ('"--n", nargs="+"', {"n": ["-x"]}, ("--n=-x",)),
        ('"--n", nargs="*"', {"n": []}, ("--n",)),
        ('"--n", nargs="+", type=float', {"n": [-1e-7, 1]}, ("--n", "-0.0000001", "1")),
        ('"--n", nargs="?", const=1, type=int', {"n": True}, ("--n",)),
        ('"--n", nargs="?", const=1, type=int', {"n": False}, ()),
        ('"--n", type=str2bool', {"n": False}, ("--n=false",)),
        ('"--n", type=float', {"n": 1e22}, ("--n=10000000000000000000000",)),
        ('"n", nargs="*"', {"n": []}, ()),
        (
            "*unknown",
            {"a": "-x", "b": True, "c": False, "d": [1, None]},
            ("--a=-x", "--b", "--d=1"),
        ),
    ],
)
def test_arguments_stand_as_argparse_wants_them(
    tmp_path: Path, declared: str, parameters: dict[str, Any], argv: tuple[str, ...]
) -> None:
    tool = read_parser(tmp_path, declared)
    assert build_argv(tool, validate(tool, parameters)) == argv


@pytest.mark.parametrize(
    ("declared", "parameters", "message"),
    [
        ('"--n", nargs=2', {"n": ["a", "-x"]}, "n must not begin with '-' beside other values"),
        (
            '"--n", nargs=2, type=int\n"-1", action="store_true"',
            {"n": [1, -2]},
            "n must not begin with '-' beside other values",
        ),
        (
            '"a", nargs="?"\n"b", nargs="?"',
            {"b": "x"},
            "b cannot be told from a; give those too",
        ),
        ('"--a"', {"b": "x"}, "b is not a parameter of this tool"),
        ('"--a"\n*more', {"b=": "x"}, "b= is not a parameter of this tool"),
        ('"a"', {"a": "--"}, "a must not be a bare --, which the tool would not see"),
    ],
)
def test_what_would_arrive_as_something_else_is_refused(
    tmp_path: Path, declared: str, parameters: dict[str, Any], message: str
) -> None:
    tool = read_parser(tmp_path, declared)
    with pytest.raises(InvalidParametersError) as caught:
        build_argv(tool, parameters)
    assert [violation.message for violation in caught.value.violations] == [message]


def test_no_value_makes_a_tool_read_a_file_for_arguments(tmp_path: Path) -> None:
    tool = read_script(
        tmp_path,
        """
        import argparse
        parser = argparse.ArgumentParser(fromfile_prefix_chars="@")
        parser.add_argument("--one")
        parser.add_argument("--two", nargs=2)
        parser.add_argument("name", nargs="?")
        parser.parse_args()
        """,
    )
    assert accepted(tool, {"one": "@secret"}) == ("--one=@secret",)
    assert accepted(tool, {"name": "@secret"}) is None
    assert accepted(tool, {"two": ["a", "@secret"]}) is None


@pytest.mark.parametrize("reading", ["parse_intermixed_args", "parse_known_intermixed_args"])
def test_a_tool_that_reads_values_twice_gets_none_with_a_dash(tmp_path: Path, reading: str) -> None:
    """`parse_intermixed_args` takes a value after `--` for an option after all."""
    tool = read_script(
        tmp_path,
        f"""
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--secret", action="store_true")
        parser.add_argument("names", nargs="*")
        parser.{reading}()
        """,
    )
    assert accepted(tool, {"names": ["--secret"]}) is None
    assert accepted(tool, {"names": ["a"]}) == ("--", "a")


def test_a_tool_that_reads_argv_gets_its_values_and_nothing_else(tmp_path: Path) -> None:
    tool = read_script(tmp_path, "import sys\nprint(sys.argv[1:])\n")
    assert accepted(tool, {"arguments": ["a", ""]}) == ("a", "")
    assert accepted(tool, {"arguments": ["-x"]}) is None


def test_options_may_begin_with_other_characters(tmp_path: Path) -> None:
    tool = read_script(
        tmp_path,
        """
        import argparse
        parser = argparse.ArgumentParser(prefix_chars="+")
        parser.add_argument("++name")
        parser.add_argument("++two", nargs=2)
        parser.parse_args()
        """,
    )
    assert accepted(tool, {"name": "+x", "two": ["-a", "-b"]}) == ("++name=+x", "++two", "-a", "-b")
    assert accepted(tool, {"two": ["a", "+b"]}) is None
