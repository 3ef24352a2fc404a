from pathlib import Path

import pytest

from tests.unit.tools.scripts import read_script


@pytest.mark.parametrize(
    "source",
    [
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--a")
        parser.add_argument("--b")
        args = parser.parse_args()
        """,
        """
        def main():
            from argparse import ArgumentParser as P
            (p := P()).add_argument("--a")
            p.add_argument_group("more").add_argument("--b")
            return p.parse_args()
        main()
        """,
        """
        import argparse as ap
        def add_more(target, *, loud=False):
            group = target.add_argument_group(title="more")
            group.add_argument("--b")
        def build() -> ap.ArgumentParser:
            parser: ap.ArgumentParser = ap.ArgumentParser()
            parser.add_argument("--a")
            return parser
        def main(argv=None):
            parser = build()
            add_more(target=parser)
            return parser.parse_args(argv)
        if __name__ == "__main__":
            raise SystemExit(main())
        """,
        """
        import argparse
        class App:
            def __init__(self):
                self.parser = argparse.ArgumentParser()
                self.parser.add_argument("--a")
                self.extend()
            def extend(self):
                self.parser.add_argument("--b")
            def run(self):
                self.parser.parse_args()
        """,
        """
        import argparse
        class Parser(argparse.ArgumentParser):
            pass
        def parse():
            add = Parser().add_argument
            add("--a")
            add("--b")
        """,
        """
        import argparse
        shared = argparse.ArgumentParser(add_help=False)
        shared.add_argument("--a")
        parser = argparse.ArgumentParser(parents=[shared])
        parser.add_argument("--b")
        parser.parse_args()
        """,
        """
        import argparse
        parser = argparse.ArgumentParser()
        def declare():
            parser.add_argument("--a")
        def main():
            declare()
            try:
                if True:
                    parser.add_argument("--b")
            finally:
                pass
            parser.parse_args()
        main()
        """,
        """
        import argparse
        first = argparse.ArgumentParser(add_help=False)
        first.add_argument("--config")
        known, rest = first.parse_known_args()
        parser = argparse.ArgumentParser()
        exclusive = parser.add_mutually_exclusive_group()
        exclusive.add_argument("--a")
        exclusive.add_argument("--b")
        parser.parse_args(rest)
        """,
    ],
)
def test_a_parser_is_found_wherever_it_is_built(tmp_path: Path, source: str) -> None:
    tool = read_script(tmp_path, source)
    assert list(tool.schema["properties"]) == ["a", "b"]
    assert tool.schema["additionalProperties"] is False
    assert tool.notes == ()


def test_a_script_without_a_parser_takes_nothing(tmp_path: Path) -> None:
    tool = read_script(tmp_path, "import sys\nprint(sys.argv[0])\n")
    assert tool.schema == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }


@pytest.mark.parametrize("reading", ["import sys\nsys.argv[1:]", "from sys import argv\nargv[1]"])
def test_a_script_that_reads_argv_takes_nameless_arguments(tmp_path: Path, reading: str) -> None:
    tool = read_script(tmp_path, reading)
    assert list(tool.schema["properties"]) == ["arguments"]
    assert tool.notes == ("It reads sys.argv by itself, so its arguments have no names.",)


def test_another_way_to_read_arguments_is_named(tmp_path: Path) -> None:
    tool = read_script(tmp_path, "import click\n")
    assert tool.notes == ("It reads its arguments with click, which is not understood.",)
    assert tool.schema["additionalProperties"] is not False


@pytest.mark.parametrize(
    ("lines", "note"),
    [
        (
            'parser.add_subparsers().add_parser("build").add_argument("--never")',
            "It has sub-commands, which cannot be given.",
        ),
        (
            'for name in ["a", "b"]:\n    parser.add_argument(f"--{name}")',
            "Line 4: an argument's name is made at run time in a loop.",
        ),
        (
            'def add(name):\n    parser.add_argument(name)\nadd("--a")',
            "Line 4: an argument's name is made at run time.",
        ),
        (
            '{"p": parser}["p"].add_argument("--a")',
            "Line 3: an argument is declared out of sight.",
        ),
        (
            "parser = argparse.ArgumentParser(parents=[elsewhere.parser])",
            "It takes arguments of a parent parser that is not to be seen.",
        ),
        (
            "parser = argparse.ArgumentParser(**settings)",
            "The parser is made with ** keywords.",
        ),
    ],
)  # fmt: skip
def test_what_reading_cannot_follow_opens_the_tool(tmp_path: Path, lines: str, note: str) -> None:
    """Whatever is missing from the schema, the tool's notes say why."""
    tool = read_script(
        tmp_path,
        f"import argparse\nparser = argparse.ArgumentParser()\n{lines}\nparser.parse_args()\n",
    )
    assert note in tool.notes
    assert tool.schema["additionalProperties"] is not False


def test_further_arguments_are_noted(tmp_path: Path) -> None:
    tool = read_script(
        tmp_path,
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--a")
        parser.parse_known_args()
        """,
    )
    assert tool.notes == ("It may take further arguments, which are not offered.",)


def test_set_defaults_outranks_the_argument(tmp_path: Path) -> None:
    tool = read_script(
        tmp_path,
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--a", type=int, default=1)
        parser.add_argument("--b", action="store_true")
        parser.set_defaults(a=2, b=True)
        parser.parse_args()
        """,
    )
    assert tool.schema["properties"]["a"]["default"] == 2
    assert tool.schema["properties"]["b"]["const"] is True


def test_a_local_name_hides_the_constant_of_the_module(tmp_path: Path) -> None:
    tool = read_script(
        tmp_path,
        """
        import argparse
        LIMIT = 1
        STEPS = 2
        def main(LIMIT):
            parser = argparse.ArgumentParser()
            parser.add_argument("--a", type=int, default=LIMIT)
            parser.add_argument("--b", type=int, default=STEPS)
            parser.parse_args()
        main(5)
        """,
    )
    assert "default" not in tool.schema["properties"]["a"]
    assert tool.schema["properties"]["b"]["default"] == 2


@pytest.mark.parametrize(
    "default",
    [
        "A",
        "((((9**63)**63)**63)**63)**63",
        "'x' * 10**9",
        "2**63 << 63",
        "1 / 0",
        "range(2**63)",
        r"'\ud800'",
        "'a\\0'",
        "{'a': 1}",
    ],
)
def test_a_default_that_cannot_be_told_is_left_out(tmp_path: Path, default: str) -> None:
    tool = read_script(
        tmp_path,
        f"""
        import argparse
        A = B
        B = A
        parser = argparse.ArgumentParser()
        parser.add_argument("--a", default={default})
        parser.parse_args()
        """,
    )
    assert tool.schema["properties"]["a"] == {"type": "string", "title": "A"}


@pytest.mark.parametrize(
    ("first", "next_one"), [("'text'", "A{} + A{}"), ("['text']", "[A{}, A{}, A{}, A{}, A{}]")]
)
def test_constants_that_grow_out_of_each_other_are_given_up_soon(
    tmp_path: Path, first: str, next_one: str
) -> None:
    """Each is many times the one before it: worked out in full, that never ends."""
    grown = "\n".join(f"A{n} = {next_one.replace('{}', str(n - 1))}" for n in range(1, 18))
    tool = read_script(
        tmp_path,
        f"import argparse\nA0 = {first}\n{grown}\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--a', nargs='*', default=A17)\n"
        "parser.add_argument('--b', default=A17)\n",
    )
    assert all("default" not in schema for schema in tool.schema["properties"].values())


def test_helpers_that_call_each_other_end(tmp_path: Path) -> None:
    """Each function calls the one before it twice: followed blindly, that never ends."""
    functions = "\n".join(f"def f{n}(p):\n    f{n - 1}(p)\n    f{n - 1}(p)" for n in range(1, 60))
    tool = read_script(
        tmp_path,
        "import argparse\n"
        'def f0(p):\n    f59(p)\n    p.add_argument("--a")\n'
        f"{functions}\nf59(argparse.ArgumentParser())\n",
    )
    assert "a" in tool.schema["properties"]
