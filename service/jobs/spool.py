"""Ends of attempts on this machine's disk, for as long as PostgreSQL cannot be told of them."""

import os
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import structlog
from pydantic import TypeAdapter, ValidationError

from service.execution.sink import LogLine
from service.store.records import Ending
from service.store.states import Move

log = structlog.stdlib.get_logger(__name__)

_KEPT = ".json"
_UNFINISHED = ".part"
_SET_ASIDE = ".unreadable"


@dataclass(frozen=True, slots=True)
class End:
    """All that is still to be written down of an attempt that is over."""

    job_id: UUID
    fence: int
    move: Move
    ending: Ending
    last_seq: int
    """The last number of the job's events that was stored."""
    lines: tuple[LogLine, ...] = ()
    """What the tool said last, and nobody has stored."""


_END = TypeAdapter(End)


def encode(end: End) -> bytes:
    """Return *end* as a JSON document."""
    return _END.dump_json(end)


def decode(data: bytes) -> End:
    """Return what `encode` was given. Raises ValueError for anything else."""
    try:
        return _END.validate_json(data)
    except ValidationError as error:
        raise ValueError(str(error)) from None


class Spool:
    """A private folder with one file for each end, named by job and fence.

    A file is whole or not there: it is written beside its place, forced to the disk and renamed.
    Every method blocks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, end: End) -> None:
        """Have *end* on the disk when this returns. Raises OSError, as for a full one."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(end)
        unfinished = path.with_suffix(_UNFINISHED)
        try:
            _write(unfinished, encode(end))
            unfinished.rename(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        _force(self._folder)

    def forget(self, end: End) -> None:
        """Remove *end*, if it is there. Raises OSError."""
        self._path(end).unlink(missing_ok=True)

    def paths(self) -> list[Path]:
        """Return where the ends are that are kept: each by itself may hold all that a tool said."""
        return sorted(self._folder.glob(f"*{_KEPT}"))

    def read(self, path: Path) -> End | None:
        """Return the end at *path*. What cannot be read is set aside, and `None`, as is no file."""
        try:
            return decode(path.read_bytes())
        except FileNotFoundError:
            return None  # Another worker has just written it down.
        except (OSError, ValueError) as error:
            log.error("end of a job unreadable", file=str(path), reason=str(error))  # noqa: TRY400  # The reason says all.
            _set_aside(path)
            return None

    def _path(self, end: End) -> Path:
        return self._folder / f"{end.job_id}:{end.fence}{_KEPT}"


def _write(path: Path, data: bytes) -> None:
    """Write a file that only this user can read, and have it on the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _force(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _set_aside(path: Path) -> None:
    try:
        path.rename(path.with_suffix(_SET_ASIDE))
    except OSError as error:
        log.warning("file left in the spool", file=str(path), reason=str(error))
