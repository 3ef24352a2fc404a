"""The end of a tool's output, kept for the job's result."""

from dataclasses import dataclass

from service.execution.lines import LineReader

TAIL_BYTES = 65_536
"""Bytes of each stream that a job's result keeps."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The last bytes of one stream, as text."""

    text: str
    """Whole lines, as a terminal would have left them; its first line says so when others are
    missing before it."""
    total_bytes: int
    """All that the tool wrote to the stream."""
    is_cut: bool
    """True when the text does not begin with the stream's first line."""


NO_TAIL = Tail("", 0, is_cut=False)


class TailKeeper:
    """Keeps the end of a stream in bounded memory."""

    def __init__(self, limit_bytes: int = TAIL_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._kept = bytearray()
        self._total_bytes = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._total_bytes += len(data)
        self._kept += data
        if len(self._kept) > 2 * self._limit_bytes:
            del self._kept[: -self._limit_bytes]

    def tail(self) -> Tail:
        """The end of what was added so far."""
        data = bytes(self._kept[-self._limit_bytes :])
        if len(data) == self._total_bytes:
            return Tail(_as_text(data), self._total_bytes, is_cut=False)
        # Without a line's start before its very end, the middle of a line must do.
        start = data.find(b"\n", 0, len(data) - 1) + 1
        left_out = self._total_bytes - len(data) + start
        mark = f"[... {left_out:,} bytes left out ...]\n"
        return Tail(mark + _as_text(data[start:]), self._total_bytes, is_cut=True)


def _as_text(data: bytes) -> str:
    reader = LineReader(line_limit=None)
    lines = reader.feed(data).lines + reader.finish().lines
    return "\n".join(lines) + ("\n" if data.endswith(b"\n") and lines else "")
