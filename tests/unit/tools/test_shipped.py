"""The tools that ship, as the service sees them."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from service.tools.catalog import Catalog
from tests.unit.tools.scripts import properties

FOLDER = Path(__file__).resolve().parents[3] / "tools"
CATALOG = Catalog([FOLDER])

NOTES = {"knowledge": {"type": "string"}, "output": {"type": "string", "default": "."}}

SHIPPED: dict[str, dict[str, Any]] = {
    "build_graph": NOTES,
    "build_index": NOTES | {"quotable": {"type": "integer", "minimum": 0, "default": 3000}},
    "check_links": NOTES | {"strict": {"type": "boolean", "default": False}},
    "statistics": NOTES | {"words_per_minute": {"type": "integer", "minimum": 1, "default": 200}},
    "sleep": {
        "seconds": {"type": "number", "minimum": 0, "default": 10.0},
        "steps": {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 20},
        "fail": {"type": "boolean", "default": False},
    },
}


def test_all_that_ship_are_there_and_understood() -> None:
    assert {tool.name for tool in CATALOG.tools()} == set(SHIPPED)
    assert [tool.name for tool in CATALOG.tools() if tool.is_broken or tool.notes] == []
    assert CATALOG.notes == ()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_tool_shows_its_parameters(name: str) -> None:
    tool = CATALOG.get(name)
    assert properties(tool, without=("title", "description", "examples")) == SHIPPED[name]
    assert tool.schema["required"] == []
    assert tool.schema["additionalProperties"] is False


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_tool_is_titled_and_explained(name: str) -> None:
    tool = CATALOG.get(name)
    assert tool.title
    assert tool.description
    assert all(known.description for known in tool.signature.parameters)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_was_read_is_what_the_tool_itself_says(name: str) -> None:
    tool = CATALOG.get(name)
    shown = subprocess.run([*tool.command, "--help"], capture_output=True, text=True, check=True)
    options = set(re.findall(r"(?m)^  (?:-\w, )?(--[\w-]+)", shown.stdout))
    assert options == {"--help"} | {known.flag for known in tool.signature.parameters}
