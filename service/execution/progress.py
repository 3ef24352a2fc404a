"""What a tool says of its progress, in the ways tools say it."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a tool says it is."""

    percent: float | None
    """From 0 to 100; None when the tool cannot say."""
    message: str | None
    """What it is doing; None when it did not say."""


_OPENING = "\x1b]9;4"
_SEQUENCE = re.compile(r"\x1b\]9;4;(\d)?(?:;(\d{1,10}))?[^\x07\x1b]{0,20}(?:\x07|\x1b\\)")
"""ConEmu's progress sequence, ended by BEL or ST:
https://learn.microsoft.com/windows/terminal/tutorials/progress-bar-sequences"""

_UNFINISHED = re.compile(r"\x1b(?:\](?:9(?:;(?:4[^\x07\x1b]{0,32}\x1b?)?)?)?)?\Z")
_UNFINISHED_CHARACTERS = 64
_LINE = re.compile(r"::progress\s+(\d{1,10}(?:\.\d{1,10})?)\s*%?(?:\s+(.*))?\s*\Z", re.DOTALL)
_BAR = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d{1,10})?) ?%")
_DRAWING = re.compile(r"[#=>█▉▊▋▌▍▎▏━╸╺─]{2,}.*", re.DOTALL)
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def has_sequence(text: str) -> bool:
    """Tell quickly whether `take_sequences` might find any."""
    return _OPENING in text


def take_sequences(text: str) -> tuple[str, Progress | None]:
    """*text* without its progress sequences, and what the last of them says."""
    latest = None
    for match in _SEQUENCE.finditer(text):
        latest = _read_sequence(match)
    return _SEQUENCE.sub("", text), latest


def find_unfinished_sequence(text: str) -> int:
    """Where a sequence starts that *text* breaks off in; its length when there is none."""
    match = _UNFINISHED.search(text, max(0, len(text) - _UNFINISHED_CHARACTERS))
    return match.start() if match else len(text)


def read_line(line: str) -> Progress | None:
    """What a line `::progress <percent> <message>` says; None for any other line."""
    match = _LINE.match(line) if line.startswith("::progress") else None
    if match is None:
        return None
    percent, message = match.groups()
    return Progress(_clamp(float(percent)), (message or "").strip() or None)


def read_bar(text: str) -> Progress | None:
    """What a progress bar shows that is drawn over itself, as tqdm, pip or curl do."""
    plain = _COLOUR.sub("", text)
    match = _BAR.search(plain)
    if match is None:
        return None
    message = _DRAWING.sub("", plain[: match.start()]).strip(" :\t|[")
    return Progress(_clamp(float(match[1])), message or None)


def _read_sequence(match: re.Match[str]) -> Progress:
    state, percent = match.groups()
    if state in {"1", "2", "4"} and percent is not None:  # Normal, failed, paused.
        return Progress(_clamp(float(percent)), None)
    return Progress(None, None)


def _clamp(percent: float) -> float:
    return min(max(percent, 0.0), 100.0)
