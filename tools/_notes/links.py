"""The links of a text, each with its place in the file.

Four kinds are read: `[[wiki]]` links with `|alias`, `#Heading` and `#^block`, `![[embeds]]`,
`[inline](links.md)` and `[reference][links]`. Code must be hidden before; see `markdown`.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

_WIKI = re.compile(r"(?<!\\)!?\[\[([^\[\]\n]+)\]\]")
_DESTINATION = r"(<[^<>\n]*>|[^\s()<>]+(?:\([^\s()]*\)[^\s()<>]*)*)"
_TITLE = r"""(?:[ \t]+(?:"[^"\n]*"|'[^'\n]*'|\([^()\n]*\)))?"""
_INLINE_END = re.compile(rf"\]\([ \t]*{_DESTINATION}{_TITLE}[ \t]*\)")
_DEFINITION = re.compile(rf"^ {{0,3}}\[(?!\^)([^\[\]\n]+)\]:[ \t]*{_DESTINATION}", re.MULTILINE)
_REFERENCE = re.compile(r"(?<!\\)!?\[([^\[\]\n]+)\](?:\[([^\[\]\n]*)\])?(?![:(])")
_EXTERNAL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:|//")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_LONGEST_LABEL = 1000


@dataclass(frozen=True, slots=True)
class Link:
    """One link as it stands in a note. Line and column count characters from 1."""

    target: str
    """The note or file meant, without heading; empty when it is the note itself."""
    heading: str
    """What stands after `#`; empty when there is none."""
    source: str
    """The link as written."""
    line: int
    column: int
    is_wiki: bool
    """True for `[[...]]`, which means a name; the others mean a path."""


class _Found(NamedTuple):
    """A link's place in the text and what it points to, as written."""

    start: int
    end: int
    destination: str
    is_wiki: bool


def find_links(text: str, linkable: str) -> tuple[Link, ...]:
    """Find the links to notes and files of *text*, in order; addresses on the web are left out.

    *linkable* is *text* with its code and front matter hidden.
    """
    if "[" not in linkable:
        return ()
    found = [_Found(*match.span(), match[1], True) for match in _WIKI.finditer(linkable)]  # noqa: FBT003  # A field.
    without_wiki = _WIKI.sub(lambda match: " " * len(match[0]), linkable)
    found += _find_inline(without_wiki)
    found += _find_references(without_wiki)
    line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
    links: list[Link] = []
    for start, end, destination, is_wiki in sorted(found):
        parts = _read_wiki(destination) if is_wiki else _read_path(destination)
        if parts is not None:
            line = bisect_right(line_starts, start)
            column = start - line_starts[line - 1] + 1
            links.append(Link(*parts, text[start:end], line, column, is_wiki))
    return tuple(links)


def _find_inline(linkable: str) -> Iterator[_Found]:
    for match in _INLINE_END.finditer(linkable):
        start = _opening_bracket(linkable, match.start())
        if start is not None:
            start -= linkable[start - 1 : start] == "!"
            yield _Found(start, match.end(), match[1], is_wiki=False)


def _opening_bracket(linkable: str, end: int) -> int | None:
    """Find the `[` that belongs to the `]` at *end*; brackets nest, as around an image."""
    depth = 0
    for place in range(end, max(-1, end - _LONGEST_LABEL), -1):
        if linkable[place] not in "[]" or linkable[place - 1 : place] == "\\":
            continue
        depth += 1 if linkable[place] == "]" else -1
        if depth == 0:
            return place
    return None


def _find_references(linkable: str) -> Iterator[_Found]:
    destinations: dict[str, str] = {}
    for match in _DEFINITION.finditer(linkable):
        destinations.setdefault(_label(match[1]), match[2])
    if not destinations:
        return
    for match in _REFERENCE.finditer(linkable):
        destination = destinations.get(_label(match[2] or match[1]))
        if destination is not None:
            yield _Found(*match.span(), destination, is_wiki=False)


def _label(text: str) -> str:
    return " ".join(text.split()).casefold()


def _read_wiki(destination: str) -> tuple[str, str] | None:
    """Give target and heading. In a table the `|` before the alias has a backslash."""
    if "://" in destination:
        return None
    target, _, heading = re.split(r"\\?\|", destination, maxsplit=1)[0].partition("#")
    return target.strip(), heading.strip()


def _read_path(destination: str) -> tuple[str, str] | None:
    if _EXTERNAL.match(destination.lstrip("<")):
        return None
    address = _ESCAPE.sub(r"\1", destination.removeprefix("<").removesuffix(">"))
    path, _, heading = address.partition("#")
    return unquote(path.partition("?")[0]).strip(), unquote(heading).strip()
