"""Where a link leads.

A wiki link means, in this order:

1. `[[#Heading]]`: the note it stands in;
2. `[[folder/Name]]`: the note at that path from the vault's root or from the note's own folder,
   else the one note whose path ends so;
3. `[[Name]]`: the note of that name, wherever it is; of several, the one in the same folder,
   and without such a one the link is *ambiguous*;
4. `[[Alias]]`: the one note that carries this alias in its front matter;
5. `[[picture.png]]`: another file, by name or path.

A Markdown link means a path from the note's folder, else from the vault's root; a bare name also
means what a wiki link would. The suffix `.md` may be left out. Case and the form in which
accents are stored (NFC, NFD) never count. What leads out of the vault is left alone.
"""

import posixpath
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum

from .links import Link
from .markdown import slug
from .note import Note
from .vault import Vault


class Outcome(StrEnum):
    """What became of a link."""

    NOTE = "note"
    FILE = "file"
    """It leads to a file that is no note, to a folder, or out of the vault."""
    BROKEN = "broken"
    """Nothing it could mean exists."""
    AMBIGUOUS = "ambiguous"
    """Several notes could be meant."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where one link leads."""

    outcome: Outcome
    note: Note | None = None
    """The note it leads to, when the outcome is NOTE."""
    candidates: tuple[Note, ...] = ()
    """The notes it could mean, when the outcome is AMBIGUOUS."""
    lacks_heading: bool = False
    """True when the note has no heading or block of the name that the link gives."""


_FILE = Resolution(Outcome.FILE)
_BROKEN = Resolution(Outcome.BROKEN)


class Resolver:
    """Answers where the links of a vault lead."""

    def __init__(self, vault: Vault) -> None:
        self._by_path: dict[str, Note] = {}
        self._by_name: dict[str, list[Note]] = defaultdict(list)
        self._by_alias: dict[str, list[Note]] = defaultdict(list)
        for note in vault.notes:
            self._by_path.setdefault(_key(note.id), note)
            self._by_name[_key(note.name)].append(note)
            for alias in dict.fromkeys(map(_key, note.aliases)):
                self._by_alias[alias].append(note)
        self._files = {_key(path) for path in (*vault.files, *vault.folders)}
        self._files |= {posixpath.basename(path) for path in self._files}

    def resolve(self, link: Link, source: Note) -> Resolution:
        """Tell where *link*, which stands in *source*, leads."""
        target = _key(link.target)
        if not target:
            found = Resolution(Outcome.NOTE, source)
        elif link.is_wiki:
            found = self._by_wiki_rules(target, source)
        else:
            found = self._by_path_rules(target, source)
        if found.note is not None and not _has_heading(found.note, link.heading):
            return Resolution(Outcome.NOTE, found.note, lacks_heading=True)
        return found

    def _by_wiki_rules(self, target: str, source: Note) -> Resolution:
        if "/" in target:
            found = self._at_path(target, source, "") or self._at_end_of_path(target)
        else:
            found = self._named(target, source)
        if found is None and (target in self._files or target.strip("/") in self._files):
            return _FILE
        return found or _BROKEN

    def _by_path_rules(self, target: str, source: Note) -> Resolution:
        folder = "" if target.startswith("/") else source.folder
        found = self._at_path(target.lstrip("/"), source, folder)
        if found is None and "/" not in target:
            found = self._named(target, source)
        return found or _BROKEN

    def _at_path(self, target: str, source: Note, first_folder: str) -> Resolution | None:
        """Look from *first_folder*, then from the folder of *source*, then from the root.

        What begins with a dot is meant from the folder of *source* alone.
        """
        beside = _key(source.folder)
        is_relative = target.startswith(("./", "../"))
        for folder in (beside,) if is_relative else dict.fromkeys((_key(first_folder), beside, "")):
            path = posixpath.normpath(posixpath.join(folder, target))
            if path.startswith("../"):
                return _FILE
            for candidate in (path, f"{path}.md", f"{path}.markdown"):
                if candidate in self._by_path:
                    return Resolution(Outcome.NOTE, self._by_path[candidate])
            if path in self._files:
                return _FILE
        return None

    def _at_end_of_path(self, target: str) -> Resolution | None:
        name = _without_suffix(posixpath.basename(target))
        end = "/" + _without_suffix(target)
        return _one_of(
            [
                note
                for note in self._by_name.get(name, ())
                if _without_suffix(_key(note.id)).endswith(end)
            ]
        )

    def _named(self, target: str, source: Note) -> Resolution | None:
        name = _without_suffix(target)
        notes = self._by_name.get(target) or self._by_name.get(name, [])
        beside = [note for note in notes if note.folder == source.folder]
        return _one_of(beside) or _one_of(notes) or _one_of(self._by_alias.get(target, []))


def _key(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _without_suffix(path: str) -> str:
    return path.removesuffix(".md").removesuffix(".markdown")


def _one_of(notes: list[Note]) -> Resolution | None:
    if not notes:
        return None
    if len(notes) == 1:
        return Resolution(Outcome.NOTE, notes[0])
    return Resolution(Outcome.AMBIGUOUS, candidates=tuple(notes))


def _has_heading(note: Note, heading: str) -> bool:
    """Tell whether *note* has each heading of `Heading`, `Part#Chapter` or the block `^id`."""
    return all(
        (part.lower() if part.startswith("^") else slug(part)) in note.anchors
        for part in filter(None, map(str.strip, heading.split("#")))
    )
