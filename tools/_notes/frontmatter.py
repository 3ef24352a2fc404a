"""The YAML block at a note's head: title, aliases, tags, the day it was created."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import cast

import yaml

# libyaml reads ten times as fast. The loaders named Base leave every value a string, so that a
# tag `no` or an impossible date stays what its author wrote.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

_BLOCK = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
# libyaml kills the process at some ten thousand open brackets; no real block is that long.
_LONGEST_BLOCK = 10_000
_EMPTY = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What a note says of itself. What it leaves out is empty."""

    title: str = ""
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    created: date | None = None
    length: int = 0
    """Characters the block takes at the note's head; 0 when there is none."""
    fault: str = ""
    """Why the block could not be read, in one line; its note is read all the same."""


def read_front_matter(text: str) -> FrontMatter:
    """Read the block at the head of *text*, whose lines end in a plain line feed."""
    block = _BLOCK.match(text)
    if block is None:
        return FrontMatter()
    if len(block[1]) > _LONGEST_BLOCK:
        return FrontMatter(length=block.end(), fault=f"longer than {_LONGEST_BLOCK:,} characters")
    try:
        values: object = yaml.load(block[1], Loader=_LOADER)  # noqa: S506  # Makes strings only.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return FrontMatter(length=block.end(), fault=_in_one_line(error))
    if values in (None, ""):
        return FrontMatter(length=block.end())
    if not isinstance(values, Mapping):
        return FrontMatter()  # Text between two rules, not a block of values.
    fields = {
        str(key).lower(): value for key, value in cast("Mapping[object, object]", values).items()
    }
    return FrontMatter(
        title=_text(fields.get("title")),
        aliases=_texts(fields.get("aliases", fields.get("alias")), separators=","),
        tags=tuple(
            dict.fromkeys(
                tag.removeprefix("#").lower()
                for tag in _texts(fields.get("tags", fields.get("tag")), separators=", ")
            )
        ),
        created=_day(_text(fields.get("created", fields.get("date")))),
        length=block.end(),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or value in _EMPTY:
        return ""
    return " ".join(value.split())


def _texts(value: object, *, separators: str) -> tuple[str, ...]:
    """Give the strings of a YAML list, or of one string with *separators* in it."""
    if isinstance(value, str):
        parts: list[object] = list(re.split(f"[{separators}]", value))
    elif isinstance(value, list):
        parts = cast("list[object]", value)
    else:
        return ()
    return tuple(filter(None, map(_text, parts)))


def _day(value: str) -> date | None:
    """Give the day of an ISO 8601 date or moment."""
    try:
        return date.fromisoformat(value[:10])
    except ValueError:
        return None


def _in_one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    # The mark counts lines of the block from 0; the fence above it is the file's line 1.
    return f"line {mark.line + 2}: {problem}" if mark else str(problem)
