"""Scripts written for a test, and the tools they are read as."""

import argparse
import ast
import textwrap
from collections.abc import Collection
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from service.tools.source import read_tool
from service.tools.tool import Tool


def write_script(folder: Path, name: str, source: str) -> Path:
    """Write *source*, without the margin of the test it stands in, as the script called *name*."""
    path = folder / f"{name}.py"
    path.write_text(textwrap.dedent(source), "utf-8")
    return path


def read_script(folder: Path, source: str, name: str = "tool") -> Tool:
    """Write *source* as a script and read it as a tool, which must not be broken."""
    tool = read_tool(name, write_script(folder, name, source), folder)
    assert tool.broken_reason is None
    return tool


def read_parser(folder: Path, arguments: str) -> Tool:
    """Read a script whose parser declares *arguments*, one call of `add_argument` a line."""
    return read_script(folder, parser_source(arguments))


def parser_source(arguments: str) -> str:
    """Return the source of a script with a parser that declares *arguments*, one a line."""
    lines = [line.strip() for line in arguments.strip().splitlines()]
    ast.parse("\n".join(f"f({line})" for line in lines))
    calls = "\n    ".join(f"parser.add_argument({line})" for line in lines)
    return (
        "import argparse\nfrom pathlib import Path\n\n\n"
        "def build_parser():\n"
        "    parser = argparse.ArgumentParser()\n"
        f"    {calls}\n"
        "    return parser\n\n\n"
        'if __name__ == "__main__":\n'
        "    build_parser().parse_args()\n"
    )


def properties(tool: Tool, without: Collection[str] = ("title",)) -> dict[str, Any]:
    """Return the properties of the tool's schema, less what only a reader needs."""
    Draft202012Validator.check_schema(dict(tool.schema))
    return {
        name: {key: value for key, value in schema.items() if key not in without}
        for name, schema in tool.schema["properties"].items()
    }


def real_parser(source: str) -> argparse.ArgumentParser:
    """Run *source*, which defines `build_parser`, and return what argparse makes of it."""
    names: dict[str, object] = {"__name__": "script"}
    exec(compile(source, "script", "exec"), names)  # noqa: S102  # The test wrote it.
    build = names["build_parser"]
    assert callable(build)
    parser = build()
    assert isinstance(parser, argparse.ArgumentParser)
    parser.exit_on_error = False
    return parser
