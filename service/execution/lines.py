"""From a tool's bytes to lines of text and progress."""

import codecs
from dataclasses import dataclass, field

from service.execution.progress import (
    Progress,
    find_unfinished_sequence,
    has_sequence,
    read_bar,
    read_line,
    take_sequences,
)

LINE_LIMIT = 16_384
"""Characters after which a line is passed on in pieces."""

CUT_MARK = " [line continues]"
"""Ends each piece of such a line but the last."""


@dataclass(slots=True)
class Said:
    """What some bytes of output said."""

    lines: list[str] = field(default_factory=list[str])
    progress: Progress | None = None
    """The latest; None when there was none."""


class LineReader:
    """Turns one stream of a tool into lines, as a terminal would have left them.

    Bytes that are no UTF-8 become U+FFFD, NUL is dropped. A carriage return takes back what
    stands before it in its line, so that of a progress bar only the last drawing is left. Progress
    sequences and `::progress` lines are taken out.
    """

    def __init__(self, line_limit: int | None = LINE_LIMIT) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._line_limit = line_limit
        self._rest = ""
        self._is_redrawn = False
        self._had_sequence = False

    def feed(self, data: bytes) -> Said:
        """Take the next bytes; the lines they complete."""
        return self._read(self._decoder.decode(data.translate(None, b"\0")))

    def finish(self) -> Said:
        """Take the end of the stream; the line it breaks off in, if any."""
        said = self._read(self._decoder.decode(b"", final=True))
        rest, self._rest = self._rest, ""
        if rest:
            self._read_line(rest, said)
        return said

    @property
    def pending(self) -> str:
        """The line that has begun and not ended."""
        return self._rest

    def _read(self, text: str) -> Said:
        said = Said()
        *lines, rest = (self._rest + text).split("\n")
        for line in lines:
            self._read_line(line, said)
        self._rest = self._read_rest(rest, said)
        return said

    def _read_line(self, line: str, said: Said) -> None:
        is_redrawn, had_sequence = self._is_redrawn, self._had_sequence
        self._is_redrawn = self._had_sequence = False
        line = line.rstrip("\r")
        if has_sequence(line):
            line = self._take_sequences(line, said)
            had_sequence = True
        if is_redrawn or "\r" in line:
            line = self._redraw(line, said)
        progress = read_line(line)
        if progress is not None:
            said.progress = progress
        elif line or not had_sequence:
            self._add(line, said)

    def _read_rest(self, rest: str, said: Said) -> str:
        """Show the progress of a line that is still being written; what there is to keep of it."""
        end = find_unfinished_sequence(rest)
        rest, unfinished = rest[:end], rest[end:]
        if has_sequence(rest):
            rest = self._take_sequences(rest, said)
            self._had_sequence = True
        visible = rest.rstrip("\r")  # The last one may turn out to be a line's end: \r\n.
        if self._is_redrawn or "\r" in visible:
            self._is_redrawn = True
            rest = self._redraw(visible, said) + rest[len(visible) :]
        limit = self._line_limit
        if limit is not None and len(rest) > limit:
            *pieces, rest = _cut(rest, limit)
            said.lines += pieces
        return rest + unfinished

    def _take_sequences(self, text: str, said: Said) -> str:
        text, progress = take_sequences(text)
        said.progress = progress or said.progress
        return text

    def _redraw(self, line: str, said: Said) -> str:
        """Leave what the last carriage return left of *line*."""
        drawings = [drawing for drawing in line.split("\r") if drawing]
        for drawing in reversed(drawings):
            progress = read_bar(drawing)
            if progress is not None:
                said.progress = progress
                break
        return drawings[-1] if drawings and not drawings[-1].isspace() else ""

    def _add(self, line: str, said: Said) -> None:
        limit = self._line_limit
        if limit is not None and len(line) > limit:
            said.lines += _cut(line, limit)
        else:
            said.lines.append(line)


def _cut(line: str, limit: int) -> list[str]:
    pieces = [line[start : start + limit] for start in range(0, len(line), limit)]
    return [piece + CUT_MARK for piece in pieces[:-1]] + pieces[-1:]
