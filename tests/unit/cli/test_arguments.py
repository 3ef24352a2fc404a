from typing import Any

import pytest

from service.cli.arguments import read_parameters
from service.errors import UsageError

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "title": {"type": "string"},
        "dry_run": {"type": "boolean"},
        "words": {"type": "array", "items": {"type": "string"}},
        "sizes": {"type": "array", "items": {"type": "integer"}},
        "level": {"enum": [1, 2, "all"]},
        "colour": {"anyOf": [{"type": "string"}, {"type": "boolean"}]},
        "depth": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]},
    },
    "required": [],
    "additionalProperties": False,
}
OPEN: dict[str, Any] = {
    "type": "object",
    "properties": {},
    "required": [],
    "additionalProperties": {"anyOf": [{"type": ["string", "number", "boolean", "null"]}]},
}


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("count=3", {"count": 3}),
        ("count=-3", {"count": -3}),
        ("share=0.5", {"share": 0.5}),
        ("share=2", {"share": 2.0}),
        ("title=3", {"title": "3"}),
        ("title=", {"title": ""}),
        ("title=a=b", {"title": "a=b"}),
        ("title=--x", {"title": "--x"}),
        ("dry_run=yes", {"dry_run": True}),
        ("dry_run=FALSE", {"dry_run": False}),
        ("dry_run=0", {"dry_run": False}),
        ("words=a,b", {"words": ["a,b"]}),
        ("sizes=4", {"sizes": [4]}),
        ("level=2", {"level": 2}),
        ("level=all", {"level": "all"}),
        ("colour=true", {"colour": "true"}),
        ("depth=2", {"depth": 2}),
        ("depth=true", {"depth": True}),
    ],
)
def test_a_value_gets_the_type_of_its_parameter(argument: str, expected: dict[str, Any]) -> None:
    found = read_parameters([argument], SCHEMA)
    assert found == expected
    assert [type(value) for value in found.values()] == [type(value) for value in expected.values()]


@pytest.mark.parametrize(
    "argument", ["count=three", "count=1.5", "share=nan", "share=inf", "dry_run=perhaps", "level=9"]
)
def test_a_value_that_does_not_fit_stays_text_for_the_api_to_refuse(argument: str) -> None:
    name, _, text = argument.partition("=")
    assert read_parameters([argument], SCHEMA) == {name: text}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--count=3"], {"count": 3}),
        (["--count", "3", "title=x"], {"count": 3, "title": "x"}),
        (["--count", "-3"], {"count": -3}),
        (["--dry-run"], {"dry_run": True}),
        (["--dry-run", "--count", "3"], {"dry_run": True, "count": 3}),
        (["--dry-run=no"], {"dry_run": False}),
        (["--colour", "red"], {"colour": "red"}),
        (["--colour", "--dry-run"], {"colour": True, "dry_run": True}),
        (["--colour"], {"colour": True}),
        (["--title", "--dry-run"], {"title": "--dry-run"}),
    ],
)
def test_parameters_may_be_spelled_as_options(
    arguments: list[str], expected: dict[str, Any]
) -> None:
    assert read_parameters(arguments, SCHEMA) == expected


def test_a_list_is_made_by_giving_its_key_again() -> None:
    arguments = ["words=a", "sizes=1", "--words", "b", "words=c"]
    assert read_parameters(arguments, SCHEMA) == {"words": ["a", "b", "c"], "sizes": [1]}


def test_of_a_value_given_twice_the_last_counts() -> None:
    assert read_parameters(["count=1", "count=2"], SCHEMA) == {"count": 2}


def test_an_open_tool_gets_what_is_given_as_text() -> None:
    arguments = ["anything=1", "--twice=a", "--twice=b", "--verbose"]
    expected = {"anything": "1", "twice": ["a", "b"], "verbose": True}
    assert read_parameters(arguments, OPEN) == expected


@pytest.mark.parametrize("argument", ["cuont=3", "--cuont=3", "--cuont"])
def test_an_unknown_key_is_refused_with_the_known_ones(argument: str) -> None:
    with pytest.raises(UsageError, match=r"no parameter cuont; it takes count, share, title"):
        read_parameters([argument], SCHEMA)


def test_a_tool_without_parameters_says_so() -> None:
    closed = {**OPEN, "additionalProperties": False}
    with pytest.raises(UsageError, match="no parameter count; it takes none"):
        read_parameters(["count=3"], closed)


@pytest.mark.parametrize("argument", ["count", "3", "", "=3", "--", "--=3", "-c"])
def test_what_is_no_parameter_is_refused_with_the_way_to_give_one(argument: str) -> None:
    with pytest.raises(UsageError, match="give parameters as key=value"):
        read_parameters([argument], SCHEMA)


def test_an_option_that_lacks_its_value_is_refused() -> None:
    with pytest.raises(UsageError, match="--count: a value is missing"):
        read_parameters(["--count"], SCHEMA)
