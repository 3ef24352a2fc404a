"""Locks that end with the processes holding them, however those end."""

import fcntl
import os
from pathlib import Path

_held: set[int] = set()
"""Descriptors of the locks this process holds."""


def _let_go_in_child() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


# A child forked without exec would otherwise hold its parent's locks beyond the parent's death.
os.register_at_fork(after_in_child=_let_go_in_child)


class FileLock:
    """An exclusive lock on a file (flock(2)), which names the process that took it.

    It is free again when every process that has `descriptor` open has closed it or ended, killed
    ones included. Only programs given it by `pass_fds` share it; forks do not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """The open file that carries the lock."""
        if self._descriptor is None:
            raise RuntimeError(f"{self.path} is not locked")
        return self._descriptor

    @property
    def is_held(self) -> bool:
        """True from a successful `acquire` to `release`."""
        return self._descriptor is not None

    def acquire(self) -> bool:
        """Take the lock if it is free, without waiting; tell whether it is ours now."""
        if self.is_held:
            return True
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        self._descriptor = descriptor
        _held.add(descriptor)
        return True

    def release(self) -> None:
        """Close our end of the lock; programs it was passed to keep theirs."""
        if self._descriptor is not None:
            _held.discard(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> str:
        """Return the process id written by whoever took the lock last; empty when unknown."""
        try:
            return self.path.read_text().strip()
        except OSError:
            return ""
