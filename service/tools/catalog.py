"""Every tool there is, kept in step with the files in the tools folders."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from service.errors import ToolBrokenError, ToolNotFoundError
from service.tools.options import TOOL_NAME
from service.tools.source import broken_tool, read_tool
from service.tools.tool import Tool, printable

_BAD_NAME = (
    "its name must be at most 64 small letters, digits, dots, dashes and underscores, "
    "the first a letter or digit"
)
_UNSETTLED_NANOSECONDS = 50_000_000
"""A file changed this lately may change again without its times showing it."""

_Version: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Found:
    """One file as the last look found it."""

    folder: Path
    version: _Version | None
    """None when it must be read again at the next look."""


class Catalog:
    """The tools in some folders; of two with one name, the earlier folder's counts.

    What a request names is looked up in a dictionary; it never becomes a path.
    """

    def __init__(self, folders: Iterable[Path], *, clock: Callable[[], int] = time.time_ns) -> None:
        # Links are not followed: a tool looks for its files beside the path it was started by.
        self._folders = tuple(Path(folder).absolute() for folder in folders)
        self._clock = clock
        self._found: dict[Path, _Found] = {}
        self._read_tools: dict[Path, Tool] = {}
        self._tools: dict[str, Tool] = {}
        self._notes: tuple[str, ...] = ()
        self.refresh()

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever runs the service should know of the folders, with their paths."""
        return self._notes

    def refresh(self) -> bool:
        """Read the files that are new or changed, forget those gone; True if any was.

        Costs one directory listing a folder and one `stat` a file, so that it can be called
        before every use.
        """
        found, notes = self._look()
        changed = False
        for path, file in found.items():
            if self._found.get(path) == file and file.version is not None:
                continue
            tool = _read(path, file.folder)
            changed = changed or tool != self._read_tools.get(path)
            self._read_tools[path] = tool
        for path in self._read_tools.keys() - found.keys():
            del self._read_tools[path]
            changed = True
        self._found = found
        self._tools = {}
        for path in found:
            tool = self._read_tools[path]
            first = self._tools.setdefault(tool.name, tool)
            if first is not tool:
                notes.append(f"{path} is shadowed by {first.path}")
        self._notes = tuple(notes)
        return changed

    def get(self, name: str) -> Tool:
        """Return the tool of this name. Raises ToolNotFoundError and ToolBrokenError."""
        tool = self._tools.get(name)
        if tool is None:
            raise ToolNotFoundError(printable(name))
        if tool.broken_reason is not None:
            raise ToolBrokenError(name, tool.broken_reason)
        return tool

    def tools(self) -> tuple[Tool, ...]:
        """Return every tool by name, the broken ones too."""
        return tuple(self._tools[name] for name in sorted(self._tools))

    def _look(self) -> tuple[dict[Path, _Found], list[str]]:
        """List the files that are tools, in the order in which they count, and what is amiss."""
        found: dict[Path, _Found] = {}
        notes: list[str] = []
        for folder in self._folders:
            try:
                with os.scandir(folder) as entries:
                    files = sorted(
                        (entry for entry in entries if _may_be_tool(entry.name)),
                        key=lambda entry: entry.name,
                    )
            except OSError as error:
                notes.append(f"The tools folder {folder} cannot be read: {error.strerror}")
                continue
            found |= {Path(entry.path): _Found(folder, self._version(entry)) for entry in files}
        return found, notes

    def _version(self, entry: os.DirEntry[str]) -> _Version | None:
        """Return what changes whenever the file does; None when that cannot be told."""
        try:
            status = entry.stat()
        except OSError:
            return None
        if 0 <= self._clock() - status.st_mtime_ns < _UNSETTLED_NANOSECONDS:
            return None
        # The last one tells of a changed permission, which the others do not.
        return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns


def _read(path: Path, folder: Path) -> Tool:
    name = printable(path.name.removesuffix(".py"))
    if not TOOL_NAME.fullmatch(name):
        return broken_tool(name, path, _BAD_NAME)
    return read_tool(name, path, folder)


def _may_be_tool(file_name: str) -> bool:
    return file_name.endswith(".py") and file_name[0] not in "._"
