"""The files that jobs left, kept in a folder by job and fence."""

import asyncio
import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from service.errors import ArtifactNotFoundError
from service.execution.artifact_copies import Copier, Copy
from service.execution.artifact_names import Skip, guess_media_type, is_hidden

_INCOMING = ".incoming"
_ID_LENGTH = len(str(UUID(int=0)))


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    """One file a job left, as it is kept."""

    name: str
    """Where the tool left it, relative to its working directory, with slashes."""
    size: int
    """Bytes."""
    media_type: str
    sha256: str
    """Hexadecimal."""
    key: str
    """What the store opens it by."""


@dataclass(frozen=True, slots=True)
class Collection:
    """What became of the files that an attempt left."""

    artifacts: tuple[StoredArtifact, ...]
    skipped: Mapping[Skip, int]
    """How many were not taken, by reason; hidden files are not counted."""


class ArtifactStore:
    """A folder of artifacts, each at `<job id>/<fence>/<name>`, which is its key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def collect(
        self, work: Path, job_id: UUID, fence: int, *, limit_bytes: int
    ) -> Collection:
        """Copy the regular files below *work* into the store.

        Call it when the tool's tree is gone. They appear all at once and are on the disk by then.
        Skipped are hidden files, files that have a second name (it may be anybody's), and those
        that would exceed *limit_bytes* together with what was taken before. No link is followed.
        Raises OSError, such as for a full disk; nothing is kept then.
        """
        return await asyncio.to_thread(self._collect, work, job_id, fence, limit_bytes)

    def open(self, key: str) -> BinaryIO:
        """Open an artifact for reading.

        Raises ArtifactNotFoundError when *key* names none, whatever else it may lead to.
        """
        job_id, _, name = key.partition("/")
        name = name.partition("/")[2]
        parts = key.split("/")
        if len(parts) < 3 or any(not part or is_hidden(part) for part in parts):
            raise ArtifactNotFoundError(job_id, name)
        try:
            return _open_below(self._folder, parts)
        except (OSError, ValueError):  # A NUL is a ValueError.
            raise ArtifactNotFoundError(job_id, name) from None

    async def delete_job(self, job_id: UUID) -> None:
        """Delete all artifacts of a job; there may be none. Raises OSError."""
        await asyncio.to_thread(self._delete_job, job_id)

    async def delete_attempt(self, job_id: UUID, fence: int) -> None:
        """Delete what one claim of a job left; there may be nothing. Raises OSError."""
        await asyncio.to_thread(self._delete_attempt, job_id, fence)

    async def find_jobs(self, *, older_than_hours: float) -> set[UUID]:
        """Return the ids of the jobs whose files have lain here so long, finished or not.

        Raises OSError.
        """
        return await asyncio.to_thread(self._find_jobs, time.time() - older_than_hours * 3600)

    def _find_jobs(self, before: float) -> set[UUID]:
        found: set[UUID] = set()
        for folder in (self._folder, self._folder / _INCOMING):
            for entry in os.scandir(folder) if folder.is_dir() else ():
                with contextlib.suppress(ValueError, FileNotFoundError):  # Not ours, or just gone.
                    if entry.stat(follow_symlinks=False).st_mtime <= before:
                        found.add(UUID(entry.name[:_ID_LENGTH]))
        return found

    def _collect(self, work: Path, job_id: UUID, fence: int, limit_bytes: int) -> Collection:
        incoming = self._folder / _INCOMING
        incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f"{job_id}-{fence}-", dir=incoming))
        try:
            copier = Copier(staging, limit_bytes)
            copier.copy_all(work)
            if copier.copies:
                _publish(staging, self._folder / str(job_id) / str(fence))
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        artifacts = tuple(_describe(copy, f"{job_id}/{fence}") for copy in copier.copies)
        return Collection(artifacts, dict(copier.skipped))

    def _delete_attempt(self, job_id: UUID, fence: int) -> None:
        folder = self._folder / str(job_id)
        if (folder / str(fence)).exists():
            shutil.rmtree(folder / str(fence))
            with contextlib.suppress(OSError):  # Another claim's are in it.
                folder.rmdir()

    def _delete_job(self, job_id: UUID) -> None:
        unfinished = (self._folder / _INCOMING).glob(f"{job_id}-*")
        for folder in (self._folder / str(job_id), *unfinished):
            if folder.exists():
                shutil.rmtree(folder)


def _describe(copy: Copy, prefix: str) -> StoredArtifact:
    return StoredArtifact(
        name=copy.name,
        size=copy.size,
        media_type=guess_media_type(copy.name),
        sha256=copy.sha256,
        key=f"{prefix}/{copy.name}",
    )


def _publish(staging: Path, final: Path) -> None:
    """Give a folder of files its final name, so that a crash leaves all of it or nothing."""
    for folder, _folders, _files in os.walk(staging):
        _sync(Path(folder))
    final.parent.mkdir(mode=0o700, exist_ok=True)
    if final.exists():  # Of an attempt at the same collection that was cut short.
        shutil.rmtree(final)
    staging.rename(final)
    _sync(final.parent)
    _sync(final.parent.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_below(folder: Path, parts: list[str]) -> BinaryIO:
    """Open a regular file below *folder*, through no link."""
    *folders, name = parts
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in folders:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FileNotFoundError(name)
    return os.fdopen(file, "rb")
