"""One note: what its file says, parsed once."""

from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath

from . import markdown
from .frontmatter import read_front_matter
from .links import Link, find_links


@dataclass(frozen=True, slots=True)
class Note:
    """A Markdown file of the vault."""

    id: str
    """Its path in the vault, with `/` between folders; unlike that of any other note."""
    title: str
    """The front matter's title, else the first heading of level 1, else the file's name."""
    aliases: tuple[str, ...]
    tags: tuple[str, ...]
    """The front matter's tags, then those in the text, in small letters, each once."""
    created: date | None
    links: tuple[Link, ...]
    headings: tuple[markdown.Heading, ...]
    anchors: frozenset[str]
    """The names that a `#fragment` of this note may use; see `markdown.find_anchors`."""
    prose: str
    """The text with front matter, code blocks and comments hidden."""
    fault: str
    """Why its front matter could not be read; empty when it could, or there is none."""

    @property
    def name(self) -> str:
        """The file's name without its suffix: what a wiki link says."""
        return PurePosixPath(self.id).stem

    @property
    def folder(self) -> str:
        """The folder's path in the vault; empty at its root."""
        return self.id.rpartition("/")[0]


def parse_note(note_id: str, text: str) -> Note:
    """Parse the *text* of the note at *note_id*; any text is a note."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    front = read_front_matter(text)
    prose = markdown.hide_code_blocks(markdown.hide(text, 0, front.length))
    linkable = markdown.hide_code_spans(prose)
    headings = markdown.find_headings(prose)
    first = next((heading.text for heading in headings if heading.level == 1), "")
    return Note(
        id=note_id,
        title=front.title or first or PurePosixPath(note_id).stem,
        aliases=front.aliases,
        tags=tuple(dict.fromkeys((*front.tags, *markdown.find_tags(linkable)))),
        created=front.created,
        links=find_links(text, linkable),
        headings=headings,
        anchors=markdown.find_anchors(prose, headings),
        prose=prose,
        fault=front.fault,
    )
