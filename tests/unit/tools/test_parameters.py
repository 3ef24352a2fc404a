from pathlib import Path
from typing import Any

import pytest

from tests.unit.tools.scripts import properties, read_parser, read_script


@pytest.mark.parametrize(
    ("declaration", "expected"),
    [
        ('"--n"', {"type": "string"}),
        ('"--n", type=int', {"type": "integer"}),
        ('"--n", type=float, default=1', {"type": "number", "default": 1}),
        ('"--n", type=str', {"type": "string"}),
        ('"--n", type=Path', {"type": "string"}),
        ('"--n", type=positive', {"type": "string"}),
        ('"--n", type=positive, default=3', {"type": "string", "default": "3"}),
        ('"--n", type=lambda text: text', {"type": "string"}),
        ('"--n", type=str2bool, default=True', {"type": "boolean", "default": True}),
        ('"--n", type=bool', {"type": "boolean"}),
        ('"--n", type=int, default="5"', {"type": "integer", "default": 5}),
        ('"--n", type=int, default=-5', {"type": "integer", "default": -5}),
        ('"--n", type=int, default=60 * 60', {"type": "integer", "default": 3600}),
        ('"--n", type=int, default=10**30', {"type": "integer"}),
        ('"--n", type=float, default=1e999', {"type": "number"}),
        ('"--n", type=int, default=None', {"type": "integer"}),
        ('"--n", default=Path(".")', {"type": "string"}),
        ('"--n", default=os.environ.get("N")', {"type": "string"}),
        (
            '"--n", choices=["a", "b"], default="a"',
            {"type": "string", "enum": ["a", "b"], "default": "a"},
        ),
        ('"--n", choices=("a", "b"), default="all"', {"type": "string", "enum": ["a", "b"]}),
        ('"--n", choices=sorted({"b": 1, "a": 2})', {"type": "string", "enum": ["a", "b"]}),
        ('"--n", choices=list(COLOURS)', {"type": "string"}),
        ('"--n", type=int, choices=range(1, 4)', {"type": "integer", "enum": [1, 2, 3]}),
        (
            '"--n", type=int, choices=range(1, 65536), default=80',
            {"type": "integer", "minimum": 1, "maximum": 65535, "default": 80},
        ),
        ('"--n", nargs="?"', {"type": "string"}),
        ('"--n", nargs="?", const="all"', {"type": "string"}),
        ('"--n", nargs="?", const=True', {"anyOf": [{"type": "string"}, {"type": "boolean"}]}),
        ('"--n", nargs="*"', {"type": "array", "items": {"type": "string"}}),
        (
            '"--n", nargs="+", type=int, default=[1, 2]',
            {"type": "array", "items": {"type": "integer"}, "minItems": 1, "default": [1, 2]},
        ),
        ('"--n", nargs=argparse.ONE_OR_MORE, default=[]', {
            "type": "array", "items": {"type": "string"}, "minItems": 1,
        }),
        ('"--n", nargs=2', {
            "type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2,
        }),
        ('"--n", action="append"', {"type": "array", "items": {"type": "string"}}),
        ('"--n", action="append", nargs=2', {
            "type": "array",
            "items": {
                "type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2,
            },
        }),
        ('"--n", action="extend", nargs="+"', {
            "type": "array", "items": {"type": "string"}, "minItems": 1,
        }),
        ('"-n", action="count"', {"type": "integer", "default": 0, "minimum": 0, "maximum": 100}),
        (
            '"-n", action="count", default=1',
            {"type": "integer", "default": 1, "minimum": 1, "maximum": 101},
        ),
        ('"--n", action="store_true"', {"type": "boolean", "default": False}),
        ('"--n", action="store_true", default=None', {"type": "boolean", "default": False}),
        ('"--n", action="store_true", default=True', {
            "type": "boolean", "const": True, "default": True,
        }),
        ('"--no-n", dest="n", action="store_false"', {"type": "boolean", "default": True}),
        ('"--n", action=argparse.BooleanOptionalAction, default=True', {
            "type": "boolean", "default": True,
        }),
        ('"--n", action=argparse.BooleanOptionalAction', {"type": "boolean"}),
        ('"--n", action="store_const", const="x"', {"type": "string", "enum": ["x"]}),
        ('"--n", action="store_const", const=sum', {"type": "boolean", "default": False}),
        ('"--n", action="append_const", dest="all", const=int', {
            "type": "boolean", "default": False,
        }),
        ('"--n", action=Own', {"type": "string"}),
        ('"--n", action=Own, nargs=0', {"type": "boolean", "default": False}),
        ('"--n", help="how many (default: %(default)s)", default=3', {
            "type": "string", "description": "how many (default: 3)", "default": "3",
        }),
        ('"--n", help="where (default: %(default)s)", default=Path(".")', {
            "type": "string", "description": "where",
        }),
        ('"--n", help=f"at most {LIMIT}, 100%%"', {
            "type": "string", "description": "at most 7, 100%",
        }),
        ('"--n", type=int, default=LIMIT', {"type": "integer", "default": 7}),
        ('"--n", type=int, default=AGAIN', {"type": "integer"}),
        ('"-x", "--n", "--nn"', {"type": "string"}),
        ('"--n-n", dest="n"', {"type": "string"}),
    ],
)  # fmt: skip
def test_an_option_reads_as_what_a_client_may_send(
    tmp_path: Path, declaration: str, expected: dict[str, Any]
) -> None:
    tool = read_script(
        tmp_path,
        f"""
        import argparse, os
        from pathlib import Path
        LIMIT = 7
        AGAIN = 1
        AGAIN = 2
        parser = argparse.ArgumentParser()
        parser.add_argument({declaration})
        parser.parse_args()
        """,
    )
    assert properties(tool) == {"n": expected}
    assert tool.schema["required"] == []
    assert tool.schema["additionalProperties"] is False


@pytest.mark.parametrize(
    "declaration", ['"n"', '"n", nargs="+"', '"n", nargs=2', '"--n", required=True']
)
def test_what_argparse_requires_is_required(tmp_path: Path, declaration: str) -> None:
    assert read_parser(tmp_path, declaration).schema["required"] == ["n"]


@pytest.mark.parametrize(
    "declaration",
    [
        '"n", nargs="?"',
        '"n", nargs="*"',
        '"n", nargs="?", default=Path(".")',
        '"--n", required=False',
    ],
)
def test_what_argparse_does_not_require_may_be_left_out(tmp_path: Path, declaration: str) -> None:
    assert read_parser(tmp_path, declaration).schema["required"] == []


def test_help_version_and_hidden_options_are_left_out(tmp_path: Path) -> None:
    tool = read_parser(
        tmp_path,
        """
        "--version", action="version", version="1"
        "--usage", action="help"
        "--debug", help=argparse.SUPPRESS
        "--seen"
        """,
    )
    assert list(tool.schema["properties"]) == ["seen"]


def test_flags_for_one_destination_are_one_parameter(tmp_path: Path) -> None:
    tool = read_parser(
        tmp_path,
        """
        "--json", dest="shape", action="store_const", const="json", default="text"
        "--csv", dest="shape", action="store_const", const="csv"
        "--fast", dest="fast", action="store_true", default=None
        "--slow", dest="fast", action="store_false"
        """,
    )
    assert properties(tool) == {
        "shape": {"type": "string", "enum": ["json", "csv", "text"], "default": "text"},
        "fast": {"type": "boolean", "default": False},
    }


def test_options_for_one_destination_keep_apart_by_their_flags(tmp_path: Path) -> None:
    tool = read_parser(
        tmp_path,
        """
        "--limit", type=int, dest="limit"
        "--no-limit", dest="limit", action="store_const", const=0
        "--most", type=int, dest="limit"
        """,
    )
    assert list(tool.schema["properties"]) == ["limit", "no_limit", "most"]


def test_a_property_is_titled_by_its_name(tmp_path: Path) -> None:
    tool = read_parser(tmp_path, '"--max-depth"')
    assert tool.schema["properties"]["max_depth"]["title"] == "Max depth"


@pytest.mark.parametrize(
    ("declaration", "why"),
    [
        ('"rest", nargs=argparse.REMAINDER', "rest takes the rest of the command line"),
        ("NAME", "an argument's name is made at run time"),
        ("*names", "an argument's name is made at run time"),
        ('"--n", **options', "an argument is declared with ** keywords"),
        ('"--n", nargs=count()', "how many values --n takes is not to be seen"),
        ('"--n", action=choose()', "the action of --n is made at run time"),
        ('"--n", dest=name()', "the dest of --n is made at run time"),
        ('"--a=b"', "the option '--a=b' cannot be given safely"),
    ],
)  # fmt: skip
def test_what_is_not_understood_opens_the_tool_and_is_noted(
    tmp_path: Path, declaration: str, why: str
) -> None:
    tool = read_parser(tmp_path, f'"--seen"\n{declaration}')
    assert tool.notes == (f"Line 8: {why}.",)
    assert list(tool.schema["properties"]) == ["seen"]
    assert tool.schema["additionalProperties"] is not False
