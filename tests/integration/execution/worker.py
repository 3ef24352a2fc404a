"""A worker in a process of its own that runs `tree.py`, to be killed.

Arguments: the isolation's name, the tag. Prints `spread` when the tool has.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from service.execution.isolation import Isolation
from service.execution.sink import LogLine
from tests.integration.execution.runs import ToolRun

TREE = Path(__file__).with_name("tree.py")


class PrintingSink:
    """Prints what the tool says."""

    def ended(self) -> None:
        """Keep it to itself."""

    async def log(self, lines: Sequence[LogLine]) -> None:
        """Print them at once."""
        for line in lines:
            sys.stdout.write(line.text + "\n")
        sys.stdout.flush()

    async def progress(self, percent: float | None, message: str | None) -> None:
        """Keep it to itself."""


if __name__ == "__main__":
    tool = ToolRun(sys.executable, str(TREE), "stay", isolation=Isolation[sys.argv[1]])
    tool.tag = sys.argv[2]
    asyncio.run(tool.run_into(PrintingSink()))
