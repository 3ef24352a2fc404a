"""One tool's file: opened with care, read without being run."""

import ast
import errno
import os
import stat
import warnings
from pathlib import Path

from service.tools.command_line import read_command_line
from service.tools.metadata import title_and_description, title_from_name
from service.tools.options import OptionsError, read_options
from service.tools.schema import build_schema
from service.tools.tool import DEFAULT_CATEGORY, Tool, printable

LARGEST_SOURCE = 1024 * 1024
"""Bytes; a program people wrote is smaller."""


class UnreadableError(Exception):
    """The file cannot be understood; the message says why."""


def read_tool(name: str, path: Path, folder: Path) -> Tool:
    """Read the tool called *name*, unless it says otherwise, from *path*, directly in *folder*.

    Never raises for what the file holds: a tool that cannot be understood comes back broken.
    """
    try:
        return _read(name, path, folder)
    except (UnreadableError, OptionsError) as error:
        reason = str(error)
    except OSError as error:
        reason = f"it cannot be opened: {os.strerror(error.errno or errno.EIO)}"
    except (RecursionError, MemoryError):
        reason = "it is nested too deeply to be read"
    return broken_tool(name, path, reason)


def broken_tool(name: str, path: Path, reason: str) -> Tool:
    """Make the tool that stands in the list for a file that cannot be one."""
    return Tool(name=name, path=path, title=title_from_name(name), broken_reason=printable(reason))


def _read(name: str, path: Path, folder: Path) -> Tool:
    source = _text(path, folder)
    module = _parse(source)
    options = read_options(source)
    signature = read_command_line(module)
    name = options.name or name
    title, description = title_and_description(name, module, options.title, signature.description)
    return Tool(
        name=name,
        path=path,
        title=title,
        description=description,
        category=options.category or DEFAULT_CATEGORY,
        signature=signature,
        options=options,
        schema=build_schema(signature, options.parameters),
        notes=signature.notes,
    )


def _text(path: Path, folder: Path) -> str:
    """Return the file's text, with the newlines of Python. Raises UnreadableError, OSError."""
    try:
        is_inside = path.resolve(strict=True).is_relative_to(folder.resolve(strict=True))
    except RuntimeError:  # Python 3.11 and 3.12 say so of a symlink that leads to itself.
        raise UnreadableError("it is a symbolic link to itself") from None
    if not is_inside:
        raise UnreadableError("it leads outside the tools folder")
    # O_NONBLOCK: a pipe of this name must not hold us up.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnreadableError("it is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:  # It has no path.
            content = file.read(LARGEST_SOURCE + 1)
    finally:
        os.close(descriptor)
    if len(content) > LARGEST_SOURCE:
        raise UnreadableError(f"it is larger than {LARGEST_SOURCE // 1024} KiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableError(f"it is not UTF-8 (line {line})") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parse(source: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # An odd escape is its author's affair.
            return ast.parse(source)
    except SyntaxError as error:
        where = f" (line {error.lineno})" if error.lineno else ""
        raise UnreadableError(f"its Python is not valid: {error.msg}{where}") from None
    except ValueError as error:  # Null bytes, before Python 3.12.
        raise UnreadableError(f"its Python is not valid: {error}") from None
