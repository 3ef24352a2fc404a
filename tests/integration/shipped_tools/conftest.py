import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).resolve().parents[3] / "tools"

WriteNote = Callable[[str, str | bytes], Path]


@dataclass(frozen=True)
class Run:
    """A tool that has ended, and the folder it ran in."""

    code: int
    stdout: str
    stderr: str
    folder: Path

    def json(self, name: str) -> Any:  # noqa: ANN401  # As many shapes as files.
        """Give what a JSON file of the folder holds."""
        return json.loads(self.text(name))

    def text(self, name: str) -> str:
        """Give what a file of the folder says."""
        return (self.folder / name).read_text(encoding="utf-8")

    @property
    def percents(self) -> list[float]:
        """What the lines of progress say, in order."""
        lines = [line for line in self.stdout.splitlines() if line.startswith("::progress ")]
        return [float(line.split()[1]) for line in lines]


RunTool = Callable[..., Run]


@pytest.fixture
def knowledge(tmp_path: Path) -> Path:
    """An empty folder for the notes of one test."""
    folder = tmp_path / "knowledge"
    folder.mkdir()
    return folder


@pytest.fixture
def write(knowledge: Path) -> WriteNote:
    """Write one note."""

    def write(name: str, text: str | bytes) -> Path:
        path = knowledge / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


@pytest.fixture
def run_tool(tmp_path: Path, knowledge: Path) -> RunTool:
    """Run a tool to its end in a working directory of its own, over the test's notes."""

    def run(name: str, *arguments: str, **environment: str) -> Run:
        folder = tmp_path / "work"
        folder.mkdir(exist_ok=True)
        if "--knowledge" not in arguments:
            arguments = ("--knowledge", str(knowledge), *arguments)
        done = subprocess.run(
            [sys.executable, str(TOOLS / f"{name}.py"), *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr, folder)

    return run
