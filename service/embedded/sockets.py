"""The private folder of the servers' sockets, at a path short enough for one."""

import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

from service.embedded.account import Account
from service.errors import EmbeddedServerError

POSTGRES_SOCKET = ".s.PGSQL.5432"
VALKEY_SOCKET = "valkey.sock"

PATH_BYTES = 107
"""How long a socket's path may be: `sun_path` has 108 bytes, one of which ends it (unix(7))."""

_PLAIN = re.compile(r"[A-Za-z0-9/._+@=-]+")
"""Characters that mean themselves in both servers' settings and in both their addresses."""

_TEMPORARY_PREFIX = "data20-"


class SocketFolder:
    """A folder for *account*'s sockets at *place*, or one below the system's temporary folder.

    The latter where sockets at *place* would have too long a path, or one with characters that
    mean something in an address; *place* is then a link, by which the next run finds and removes
    what a killed one left.
    """

    def __init__(self, place: Path, account: Account) -> None:
        self._place = place
        self._account = account
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        """The folder itself; RuntimeError unless it is open."""
        if self._path is None:
            raise RuntimeError(f"{self._place} is not open")
        return self._path

    def open(self) -> None:
        """Make the folder, new and empty. Nobody else may enter it.

        Raises EmbeddedServerError when there is no short enough path.
        """
        self.remove()
        if _fits(self._place):
            self._path = self._account.make_folder(self._place)
            return
        for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  # mkdtemp makes it private.
            if _fits(Path(parent, f"{_TEMPORARY_PREFIX}12345678")):
                folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY_PREFIX, dir=parent))
                self._place.symlink_to(folder)
                self._path = self._account.make_folder(folder)
                return
        raise EmbeddedServerError(
            f"{self._place} is no path for sockets (too long, or unusual characters in it):"
            " set TMPDIR to a short one"
        )

    def remove(self) -> None:
        """Remove the folder, opened by this process or an earlier one, and all that is in it.

        Raises EmbeddedServerError when something is at *place* that no run of ours made.
        """
        self._path = None
        if self._place.is_symlink() and self._place.readlink().name.startswith(_TEMPORARY_PREFIX):
            if self._is_ours(self._place.readlink()):
                shutil.rmtree(self._place.readlink())
            self._place.unlink()
        elif self._is_ours(self._place):
            shutil.rmtree(self._place)
        elif os.path.lexists(self._place):
            raise EmbeddedServerError(f"{self._place} is in the way of the servers' sockets")

    def _is_ours(self, folder: Path) -> bool:
        """Tell whether *folder* is one that nobody else can have put there or entered."""
        try:
            found = folder.lstat()
        except FileNotFoundError:
            return False
        return (
            stat.S_ISDIR(found.st_mode)
            and stat.S_IMODE(found.st_mode) == 0o700
            and found.st_uid in {self._account.uid, os.geteuid()}
        )


def _fits(folder: Path) -> bool:
    longest = max(len(os.fsencode(folder / name)) for name in (POSTGRES_SOCKET, VALKEY_SOCKET))
    return longest <= PATH_BYTES and _PLAIN.fullmatch(str(folder)) is not None
