"""The account the servers run under, and the folders that only it may enter."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from service.errors import EmbeddedServerError

PREFERRED = ("postgres", "nobody")
"""Whom root becomes, the first that exists. PostgreSQL refuses to run as root."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user and its group, as the kernel knows them."""

    uid: int
    gid: int

    @property
    def is_ours(self) -> bool:
        """True when this process runs as this user already."""
        return self.uid == os.geteuid()

    def make_folder(self, path: Path) -> Path:
        """Make *path* a folder of this account's that nobody else may enter, and return it.

        Its parent must exist. A folder that is there is kept, with all that is in it.
        Raises EmbeddedServerError when it is somebody else's.
        """
        path.mkdir(mode=0o700, exist_ok=True)
        owner = path.stat().st_uid
        if owner == os.geteuid() != self.uid and not any(path.iterdir()):
            os.chown(path, self.uid, self.gid, follow_symlinks=False)
        elif owner != self.uid:
            raise EmbeddedServerError(
                f"{path} belongs to user id {owner}, the servers run as {self.uid}:"
                " start as its owner, or give another folder"
            )
        path.chmod(0o700)
        return path

    def write_file(self, path: Path, text: str) -> Path:
        """Write a new file that only this account and root may read, and return its path."""
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            if not self.is_ours:
                os.fchown(descriptor, self.uid, self.gid)
        return path


def choose_account(data: Path) -> Account:
    """Return the account for servers whose data is below *data*.

    An ordinary user's servers run as that user. Root's run as whoever owns the data already, else
    as `postgres`, else as `nobody`; no account is ever created.
    Raises EmbeddedServerError when there is none of them.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if data.exists() and (found := data.stat()).st_uid != 0:
        return Account(found.st_uid, found.st_gid)
    for name in PREFERRED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        f"PostgreSQL does not run as root, and there is no account {' or '.join(PREFERRED)}:"
        " start as an ordinary user, or set DATABASE_URL"
    )
