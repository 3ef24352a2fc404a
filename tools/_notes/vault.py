"""The folder of notes: finding its files and reading them whatever their encoding."""

import codecs
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .console import count, every_percent, progress, warn
from .note import Note, parse_note

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "knowledge"
"""The notes that ship: what a tool reads when it is told no other folder."""

_SUFFIXES = frozenset({".md", ".markdown"})
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True, slots=True)
class Vault:
    """All notes of a folder and the folders in it."""

    root: Path
    notes: tuple[Note, ...]
    """In the order of their ids."""
    files: tuple[str, ...]
    """Paths in the vault of the other files: images, PDFs, whatever a note may link to."""
    folders: frozenset[str]


def read_vault(root: Path, *, until_percent: float) -> Vault:
    """Read every note below *root*, saying the progress from 0 to *until_percent*.

    Hidden files and folders are left out and links to folders are not followed. What is odd is
    warned of on standard error. Raises NotADirectoryError, with a sentence for the user, when
    *root* is no folder.
    """
    if not root.is_dir():
        message = f"{root} is not a folder" if root.exists() else f"there is no folder {root}"
        raise NotADirectoryError(message)
    paths = sorted(_walk(root))
    sources = [path for path in paths if Path(path).suffix.lower() in _SUFFIXES]
    progress(0, f"Reading {count(len(sources), 'note')}")
    say = every_percent(len(sources), 0, until_percent, "Read")
    notes: list[Note] = []
    for number, path in enumerate(sources, start=1):
        note = _read_note(root, path)
        if note is not None:
            notes.append(note)
        say(number)
    if not sources:
        warn(f"{root} holds no notes (*.md, *.markdown)")
    return Vault(
        root=root,
        notes=tuple(notes),
        files=tuple(_shown(path) for path in paths if Path(path).suffix.lower() not in _SUFFIXES),
        folders=frozenset(
            _shown(folder.as_posix()) for path in paths for folder in Path(path).parents
        ),
    )


def _walk(root: Path) -> Iterator[str]:
    """Give the path, below *root*, of each file that is not hidden."""
    for folder, folders, files in os.walk(root, onerror=lambda error: warn(str(error))):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                yield Path(folder, name).relative_to(root).as_posix()


def _read_note(root: Path, path: str) -> Note | None:
    try:
        data = (root / path).read_bytes()
    except OSError as error:
        warn(f"{_shown(path)} is left out: {error.strerror}")
        return None
    note = parse_note(_shown(path), _decode(data, _shown(path)))
    if note.fault:
        warn(f"{note.id}: the front matter cannot be read: {note.fault}")
    return note


def _decode(data: bytes, shown_path: str) -> str:
    """Decode what an editor may have written: UTF-8, UTF-16 with its mark, or older ones."""
    encoding = next(
        (name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8"
    )
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        warn(f"{shown_path} is not {encoding.upper()}; what cannot be read is replaced")
        return data.decode(encoding, errors="replace")


def _shown(path: str) -> str:
    """Give *path* with the bytes of its name that are no UTF-8 spelled out, fit for JSON."""
    return path.encode("utf-8", errors="backslashreplace").decode("utf-8")
