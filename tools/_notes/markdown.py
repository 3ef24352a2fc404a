"""What a Markdown text says: its headings, its words, and where code hides links.

The rules are CommonMark's (https://spec.commonmark.org/0.31.2/) with Obsidian's additions
(https://help.obsidian.md/syntax). Hiding replaces characters by spaces, so that every place in
the hidden text is the same place in the file.
"""

import html
import re
from typing import NamedTuple

_FENCE = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(`{3,}(?=[^`\n]*$)|~{3,})")
_LIST_ITEM = re.compile(r"[ \t>]*(?:[-*+]|\d{1,9}[.)])[ \t]")
_NEEDS_LINES = re.compile(r"```|~~~|^(?: {4}|\t)", re.MULTILINE)
_COMMENT_OR_CODE = re.compile(
    r"(?P<comment><!--.*?-->|%%.*?%%)"
    r"|(?<![`\\])(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)(?P=ticks)(?!`)",
    re.DOTALL,
)
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(\S[^\n]*?)(?:[ \t]+#+)?[ \t]*$", re.MULTILINE)
_UNDERLINED = re.compile(
    r"^(?! {0,3}(?:[-*+>#|]|\d+[.)])| {4}|\t)[ ]{0,3}(\S[^\n]*)\n {0,3}(=+|-{2,})[ \t]*$",
    re.MULTILINE,
)
_ANCHOR = re.compile(r"""\{#([^\s{}]+)\}|<[^<>\n]*?\b(?:id|name)=["']([^"'\n]+)["']""")
_BLOCK_ID = re.compile(r"(?:^|[ \t])\^([A-Za-z0-9-]+)[ \t]*$", re.MULTILINE)
_TAG = re.compile(r"(?<!\S)#(\d*[^\W\d][\w/-]*)")
_WORD = re.compile(r"\w+(?:['\u2019.\-]\w+)*")

_REMOVED = re.compile(
    r"!\[\[[^\]\n]*\]\]"  # embeds
    r"|!\[[^\]\n]*\]\([^)\n]*\)"  # images
    r"|^ {0,3}\[[^\]\n]+\]:[^\n]*$"  # definitions of links and footnotes
    r"|\[\^[^\]\n]+\]"  # footnote marks
    r"|</?[A-Za-z][^<>\n]*>"  # HTML
    r"|^[ \t]*[-=*_|:][-=*_|: \t]{2,}$"  # rules, underlines, the second line of a table
    r"|(?:^|[ \t])\^[A-Za-z0-9-]+[ \t]*$",  # block ids
    re.MULTILINE,
)
_LINK_TEXT = re.compile(
    r"\[\[(?:[^\]|\n]*\|)?\\?([^\]|\n]*)\]\]"
    r"|\[([^\[\]\n]*)\](?:\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\)|\[[^\[\]\n]*\])"
)
_LINE_START = re.compile(
    r"^[ \t]*(?:(?:>|\#{1,6}|[-*+]|\d{1,9}[.)])[ \t]+(?:\[.\][ \t]+)?|>)+", re.MULTILINE
)
_EMPHASIS = re.compile(
    r"(?=[*~=_`])(?:"  # Most characters are none of these, and are passed over at once.
    r"(?:\*{1,3}|~~|==)(?=\S)|(?<=\S)(?:\*{1,3}|~~|==)"
    r"|(?<!\w)_{1,3}(?=\S)|(?<=\S)_{1,3}(?!\w)|`+)"
)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


class Heading(NamedTuple):
    """A heading: its level from 1 to 6, its text without markup, and where its line begins."""

    level: int
    text: str
    offset: int


def hide(text: str, start: int, end: int) -> str:
    """Replace the characters from *start* to *end* by spaces, lines kept."""
    return text[:start] + _blank(text[start:end]) + text[end:]


def hide_code_blocks(text: str) -> str:
    """Replace fenced and indented code and comments by spaces."""
    if _NEEDS_LINES.search(text):
        text = "".join(_without_code_blocks(text))
    if "<!--" not in text and "%%" not in text:
        return text
    return _COMMENT_OR_CODE.sub(
        lambda found: _blank(found[0]) if found["comment"] else found[0], text
    )


def hide_code_spans(text: str) -> str:
    """Replace `` `code` `` within lines by spaces."""
    return _COMMENT_OR_CODE.sub(lambda found: _blank(found[0]), text) if "`" in text else text


def find_headings(prose: str) -> tuple[Heading, ...]:
    """Find the headings of a text whose code blocks are hidden, in order."""
    found = [
        Heading(len(match[1]), plain_text(match[2]).strip(), match.start())
        for match in _HEADING.finditer(prose)
    ]
    found += [
        Heading(1 if match[2][0] == "=" else 2, plain_text(match[1]).strip(), match.start())
        for match in _UNDERLINED.finditer(prose)
    ]
    return tuple(sorted(found, key=lambda heading: heading.offset))


def find_anchors(prose: str, headings: tuple[Heading, ...]) -> frozenset[str]:
    """Give every name a `#fragment` may use: headings, HTML ids, `{#ids}` and `^blocks`.

    A heading's name is its slug, as GitHub makes it: the second `Same` is `same-1`.
    """
    anchors: dict[str, int] = {}
    for heading in headings:
        name = slug(heading.text)
        seen = anchors[name] = anchors.get(name, -1) + 1
        if seen:
            anchors[f"{name}-{seen}"] = 0
    for match in _ANCHOR.finditer(prose):
        anchors[slug(match[1] or match[2])] = 0
    for match in _BLOCK_ID.finditer(prose):
        anchors[f"^{match[1].lower()}"] = 0
    return frozenset(anchors)


def slug(text: str) -> str:
    """Give the name of a heading in an address: small letters, `-` for spaces, no punctuation."""
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def find_tags(linkable: str) -> tuple[str, ...]:
    """Find the `#tags` of a text whose code is hidden, in small letters, each once."""
    return tuple(dict.fromkeys(match[1].lower() for match in _TAG.finditer(linkable)))


def plain_text(prose: str) -> str:
    """Give the words of a text whose code blocks are hidden, as a reader sees them."""
    text = _REMOVED.sub("", prose)
    text = _LINK_TEXT.sub(lambda found: found[1] or found[2] or "", text)
    text = _LINE_START.sub("", text)
    text = _EMPHASIS.sub("", text)
    text = _ESCAPE.sub(r"\1", text).replace("|", " ")
    return html.unescape(text) if "&" in text else text


def paragraphs(plain: str) -> str:
    """Give a plain text with its paragraphs on one line each, an empty line between them."""
    parts = re.split(r"\n[ \t]*\n", plain)
    return "\n\n".join(" ".join(part.split()) for part in parts if part.strip())


def count_words(plain: str) -> int:
    """Count the words of a plain text; a hyphen or an apostrophe does not end one."""
    return sum(1 for _ in _WORD.finditer(plain))


def excerpt(prose: str, characters: int = 240) -> str:
    """Give the first words of a text without its headings, cut between two words."""
    # Markup takes room that the words will not; four times as much text is enough.
    head = prose.lstrip()[: characters * 4]
    words = " ".join(plain_text(_UNDERLINED.sub("", _HEADING.sub("", head))).split())
    if len(words) <= characters:
        return words
    return words[:characters].rsplit(" ", 1)[0].rstrip(" ,;:.-\N{EN DASH}\N{EM DASH}") + "…"


def _blank(text: str) -> str:
    return "\n".join(" " * len(line) for line in text.split("\n"))


def _without_code_blocks(text: str) -> list[str]:
    lines: list[str] = []
    fence = ""
    after_blank, in_list, in_indented = True, False, False
    for line in text.splitlines(keepends=True):
        opening = _FENCE.match(line)
        is_blank = not line.strip()
        is_indented = line.startswith(("    ", "\t")) and not is_blank
        if fence:
            lines.append(_blank(line))
            closes = opening and opening[1].startswith(fence) and not line[opening.end() :].strip()
            fence = "" if closes else fence
        elif opening and not (is_indented and in_indented):
            lines.append(_blank(line))
            fence = opening[1]
        elif is_indented and not in_list and (after_blank or in_indented):
            lines.append(_blank(line))
            in_indented = True
        else:
            lines.append(line)
            if not is_blank:
                in_indented = False
                # What is indented below a list item belongs to it and is no code.
                in_list = bool(_LIST_ITEM.match(line)) or (
                    in_list and (is_indented or not after_blank)
                )
        after_blank = is_blank
    return lines
