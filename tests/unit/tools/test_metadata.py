from pathlib import Path

import pytest

from service.tools.metadata import title_from_name
from tests.unit.tools.scripts import read_script

LONG = "This first sentence goes on and on until nobody would care to read it as a title any more."


@pytest.mark.parametrize(
    ("source", "title", "description"),
    [
        ('"""Draw the graph."""', "Draw the graph", ""),
        ('"""Draw the graph. Slowly."""', "Draw the graph", "Slowly."),
        ('"""Draw the\ngraph.\n\n  Twice.\n\nAgain."""', "Draw the graph", "Twice.\n\nAgain."),
        ('"""Draw v1.2 of it."""', "Draw v1.2 of it", ""),
        ('"""Draw\n\nMore."""', "Draw", "More."),
        (f'"""{LONG} Yes."""', "My tool", f"{LONG} Yes."),
        ("x = 1", "My tool", ""),
        ('"""Bell\a and \\ud800 surrogate."""', "Bell and \ufffd surrogate", ""),
        ('"""Draw."""\n# /// script\n# [tool.data20]\n# title = "Own"\n# ///', "Own", "Draw."),
        ('"""Own. More."""\n# /// script\n# [tool.data20]\n# title = "Own"\n# ///', "Own", "More."),
    ],
)
def test_a_tool_is_titled_and_described(
    tmp_path: Path, source: str, title: str, description: str
) -> None:
    tool = read_script(tmp_path, source, "my_tool")
    assert (tool.title, tool.description) == (title, description)


def test_the_parser_describes_what_the_docstring_does_not(tmp_path: Path) -> None:
    tool = read_script(
        tmp_path,
        '''
        """Draw."""
        import argparse
        argparse.ArgumentParser(description="All of it.").parse_args()
        ''',
    )
    assert (tool.title, tool.description) == ("Draw", "All of it.")


def test_a_description_is_not_the_title_again(tmp_path: Path) -> None:
    tool = read_script(
        tmp_path,
        '''
        """Draw."""
        import argparse
        argparse.ArgumentParser(description="Draw.").parse_args()
        ''',
    )
    assert tool.description == ""


@pytest.mark.parametrize(
    ("name", "title"), [("build_graph", "Build graph"), ("a-b.c", "A b c"), ("x", "X")]
)
def test_a_name_reads_as_words(name: str, title: str) -> None:
    assert title_from_name(name) == title
