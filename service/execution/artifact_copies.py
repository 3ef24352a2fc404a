"""Copies what a tool left, without following where it may lead."""

import contextlib
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from service.execution.artifact_names import Skip, find_fault, is_hidden

FILE_LIMIT = 10_000
"""Files taken of one attempt."""

_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that was copied."""

    name: str
    """Relative to the folder it was found in, with slashes."""
    size: int
    sha256: str


@dataclass(slots=True)
class Copier:
    """Copies the regular files below a folder to *target*; each ends up on the disk, or fails.

    Every step is relative to a folder that is held open, and goes through no link, so that what
    is copied is what was looked at.
    """

    target: Path
    left_bytes: int
    file_limit: int = FILE_LIMIT
    copies: list[Copy] = field(default_factory=list[Copy])
    skipped: Counter[Skip] = field(default_factory=Counter[Skip])

    def copy_all(self, source: Path) -> None:
        """Copy all there is below *source*. Raises OSError when the target cannot take it."""
        with _opened(str(source), os.O_DIRECTORY) as folder:
            self._copy_folder(folder, ())

    def _copy_folder(self, folder: int, path: tuple[str, ...]) -> None:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not is_hidden(entry.name))
        for name in names:
            inner = (*path, name)
            skip = find_fault(inner) or self._copy_entry(folder, inner)
            if skip is not None:
                self.skipped[skip] += 1

    def _copy_entry(self, folder: int, path: tuple[str, ...]) -> Skip | None:
        """Copy a file, or all in a folder; why not, when not."""
        name = path[-1]
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            return Skip.KIND  # Before it is opened: to open a device may already do something.
        flags = os.O_DIRECTORY if stat.S_ISDIR(mode) else os.O_NONBLOCK
        with contextlib.ExitStack() as stack:
            try:
                descriptor = stack.enter_context(_opened(name, flags, folder))
            except OSError:
                return Skip.UNREADABLE
            if stat.S_ISDIR(mode):
                self._copy_folder(descriptor, path)
                return None
            return self._copy_file(descriptor, path)

    def _copy_file(self, source: int, path: tuple[str, ...]) -> Skip | None:
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode):
            return Skip.KIND
        if status.st_nlink > 1:
            return Skip.HARD_LINK
        if len(self.copies) >= self.file_limit:
            return Skip.COUNT
        if status.st_size > self.left_bytes:
            return Skip.SIZE
        target = self.target.joinpath(*path)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        size, sha256 = _copy_bytes(source, target, status.st_size)
        self.left_bytes -= size
        self.copies.append(Copy("/".join(path), size, sha256))
        return None


def _copy_bytes(source: int, target: Path, limit_bytes: int) -> tuple[int, str]:
    """Copy up to *limit_bytes* to a new file on the disk; their number and digest."""
    digest = hashlib.sha256()
    size = 0
    with target.open("xb") as file:
        while data := os.read(source, min(_COPY_BYTES, limit_bytes - size)):
            digest.update(data)
            file.write(data)
            size += len(data)
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest()


@contextlib.contextmanager
def _opened(name: str, flags: int, folder: int | None = None) -> Generator[int, None, None]:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
