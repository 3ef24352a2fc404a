"""A job's own folder while it runs: a working directory and one for temporary files."""

import itertools
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

_NAME = re.compile(r"([0-9a-f-]{36})-(\d+)\Z")
_TRASH_PREFIX = ".removing-"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder of one claim of one job."""

    root: Path
    job_id: UUID
    fence: int

    @property
    def work(self) -> Path:
        """The working directory; what the tool leaves here are its artifacts."""
        return self.root / "work"

    @property
    def tmp(self) -> Path:
        """For temporary files; thrown away."""
        return self.root / "tmp"


def create_workspace(folder: Path, job_id: UUID, fence: int) -> Workspace:
    """Make an empty workspace in *folder*, which only our user may enter.

    What an earlier run of the same claim left there is removed. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    workspace = Workspace(folder / f"{job_id}-{fence}", job_id, fence)
    remove_workspace(workspace)
    for path in (workspace.root, workspace.work, workspace.tmp):
        path.mkdir(mode=0o700)
    return workspace


def find_workspaces(folder: Path) -> list[Workspace]:
    """The workspaces in *folder*: of running jobs, and those that killed workers left."""
    if not folder.is_dir():
        return []
    found = ((path, _NAME.match(path.name)) for path in folder.iterdir())
    return [Workspace(path, UUID(match[1]), int(match[2])) for path, match in found if match]


def remove_trash(folder: Path, *, older_than_seconds: float) -> int:
    """Remove what workers were removing when they were killed; return how much there was.

    Nobody can tell a dead worker's from a live one's, but a live one's is not left untouched for
    long. Blocks like `remove_workspace`, and raises OSError as that does.
    """
    removed = 0
    for trash in folder.glob(f"{_TRASH_PREFIX}*"):
        if trash.stat().st_mtime < time.time() - older_than_seconds:
            _remove(trash)
            removed += 1
    return removed


def remove_workspace(workspace: Workspace) -> None:
    """Remove a workspace, however deep it is and whatever modes the tool has set.

    Blocks as long as the disk needs: call it in a thread, and when the tool's tree is gone. What
    cannot be removed, such as a file made immutable, stays in a hidden folder beside it. Raises
    OSError when it does.
    """
    if workspace.root.is_dir() and not workspace.root.is_symlink():
        _remove(workspace.root)


def _remove(root: Path) -> None:
    trash = Path(tempfile.mkdtemp(prefix=_TRASH_PREFIX, dir=root.parent))
    root.chmod(0o700)  # To be moved, a directory must be writable.
    root.rename(trash / "0")
    _empty(trash)
    trash.rmdir()


def _empty(trash: Path) -> None:
    """Remove all directories in *trash*.

    What is in them is moved up first, so that no depth is too deep for a path or for recursion.
    """
    waiting = list(trash.iterdir())
    numbers = itertools.count(len(waiting))
    while waiting:
        directory = waiting.pop()
        for path in list(directory.iterdir()):
            if path.is_symlink() or not path.is_dir():
                path.unlink()
                continue
            path.chmod(0o700)
            waiting.append(path.rename(trash / str(next(numbers))))
        directory.rmdir()
