"""What a tool says while it works: its progress, its warnings, its output folder."""

import io
import sys
from collections.abc import Callable
from pathlib import Path


def speak_plainly() -> None:
    """Let no odd character in a file's name end the tool: show it replaced instead."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def progress(percent: float, message: str) -> None:
    """Say how far the work is, in percent, as a line that other programs understand."""
    print(f"::progress {round(percent, 1):g} {' '.join(message.split())}", flush=True)


def every_percent(
    total: int, from_percent: float, to_percent: float, verb: str
) -> Callable[[int], None]:
    """Give a function that says how many of *total* notes are done, about once a percent."""
    share = to_percent - from_percent
    step = max(1, round(total / max(1.0, share)))

    def say(number: int) -> None:
        if number % step == 0 or number == total:
            done = f"{verb} {number:,} of {count(total, 'note')}"
            progress(from_percent + share * number / total, done)

    return say


def warn(message: str) -> None:
    """Say on standard error what is odd, and go on."""
    print(f"warning: {message}", file=sys.stderr, flush=True)


def count(number: int, noun: str) -> str:
    """Give `1 note`, `2 notes`, `1,234 notes`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def make_output_folder(folder: Path) -> Path:
    """Return *folder*, made if it was missing.

    Raises NotADirectoryError, with a sentence for the user, when it cannot be one.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot write to {folder}: {error.strerror}"
        raise NotADirectoryError(message) from None
    return folder
