"""The servers' passwords: drawn once, kept in a file that only its owner reads."""

import json
import os
import secrets
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, ValidationError

from service.errors import EmbeddedServerError


def _draw() -> str:
    return secrets.token_urlsafe(24)


class Passwords(BaseModel):
    """One password a server, of characters that need no quoting anywhere."""

    postgres: str = Field(default_factory=_draw, pattern=r"^[A-Za-z0-9_-]{16,}$")
    valkey: str = Field(default_factory=_draw, pattern=r"^[A-Za-z0-9_-]{16,}$")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read *path*, or draw new ones and write it, whole or not at all, with mode 0600.

        Two processes must not call this at once. Raises EmbeddedServerError when the file is
        there and is not ours.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            passwords = cls()
            _write_privately(path, json.dumps(passwords.model_dump()))
            return passwords
        except (ValidationError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not as it was written"
            raise EmbeddedServerError(f"The passwords in {path} cannot be read: {reason}") from None


def _write_privately(path: Path, text: str) -> None:
    """Replace *path* in one step that survives a power cut."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    unfinished.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in *folder* survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
