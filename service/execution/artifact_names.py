"""Which files count as artifacts by their names, and what is in them by their endings."""

import mimetypes
import unicodedata
from enum import StrEnum

_NAME_BYTES = 255
_PATH_BYTES = 1024
_DEPTH_LIMIT = 32
_CONTROL_CATEGORIES = frozenset({"Cc", "Zl", "Zp"})
_DIRECTIONS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_DEFAULT_TYPE = "application/octet-stream"
_TYPES = {
    ".csv": "text/csv",
    ".graphml": "application/graphml+xml",
    ".html": "text/html",
    ".ipynb": "application/x-ipynb+json",
    ".jsonl": "application/jsonl",
    ".json": "application/json",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".svg": "image/svg+xml",
    ".toml": "application/toml",
    ".tsv": "text/tab-separated-values",
    ".webp": "image/webp",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}


class Skip(StrEnum):
    """Why a file that a job left is not kept."""

    NAME = "name"
    """Its name is no UTF-8, too long, or holds control characters."""
    DEPTH = "depth"
    """It lies too many folders deep."""
    KIND = "kind"
    """It is a link, a device, a pipe or a socket."""
    HARD_LINK = "hard_link"
    """It has a second name, perhaps outside the job's folder."""
    COUNT = "count"
    """There are too many files."""
    SIZE = "size"
    """All together would be too large."""
    UNREADABLE = "unreadable"
    """The tool left it without the right to read it."""


def is_hidden(name: str) -> bool:
    """True for what a tool keeps for itself."""
    return name.startswith(".") or name == "__pycache__"


def find_fault(path: tuple[str, ...]) -> Skip | None:
    """Why nothing of this path, given by its parts, can be an artifact; None when it can."""
    if len(path) > _DEPTH_LIMIT:
        return Skip.DEPTH
    try:
        sizes = [len(part.encode()) for part in path]
    except UnicodeEncodeError:  # Bytes that are no UTF-8 are surrogates here.
        return Skip.NAME
    if sizes[-1] > _NAME_BYTES or sum(sizes) + len(sizes) > _PATH_BYTES:
        return Skip.NAME
    return Skip.NAME if any(_is_control(character) for character in path[-1]) else None


def guess_media_type(name: str) -> str:
    """The media type of a file of this name; the same on every host."""
    dot = name.rfind(".")
    known = _TYPES.get(name[dot:].lower()) if dot > 0 else None
    if known is not None:
        return known
    guessed, encoding = _registry.guess_type(name.replace(":", "_"))  # It may be no URL.
    return _DEFAULT_TYPE if guessed is None or encoding is not None else guessed


def _is_control(character: str) -> bool:
    return (
        unicodedata.category(character) in _CONTROL_CATEGORIES
        or unicodedata.bidirectional(character) in _DIRECTIONS
    )


_registry = mimetypes.MimeTypes()  # Python's own table, without the host's files.
