"""Which part of a file a client wants, and whether it has the file already (RFC 9110)."""

import re

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class UnsatisfiableRangeError(ValueError):
    """The part that is asked for begins behind the end of the file."""


def read_range(header: str, size: int) -> range | None:
    """Return the positions of the bytes asked for, out of *size*; `None` for all of them.

    Only a single range is understood, all other headers are ignored, as section 14.2 allows.
    Raises UnsatisfiableRangeError.
    """
    asked = _RANGE.fullmatch(header.strip())
    if asked is None or asked.group() == "bytes=-":
        return None
    first, last = asked.groups()
    if not first:  # The last so many bytes.
        wanted = range(max(0, size - int(last)), size)
    elif last and int(last) < int(first):
        return None
    else:
        wanted = range(int(first), min(int(last) + 1, size) if last else size)
    if not wanted:
        raise UnsatisfiableRangeError
    return wanted


def is_held(if_none_match: str, tag: str) -> bool:
    """True when one of the client's copies is the one called *tag* (section 13.1.2)."""
    copies = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return tag in copies or copies == ["*"]
