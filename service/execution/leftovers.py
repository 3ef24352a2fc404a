"""Processes of a job that is over, found by the tag in their environment."""

import contextlib
import os
import signal
from pathlib import Path

TAG_VARIABLE = "DATA20_JOB"
"""Carries the tag of the run to each process of its tree."""


def find_leftovers(tag: str) -> list[int]:
    """Process ids of all live processes that carry *tag* and that we may look into.

    A process can hide by changing its environment; the isolation, not this, is the promise.
    """
    return [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdecimal() and _carries(int(folder.name), tag)
    ]


def kill_leftovers(tag: str) -> int:
    """Kill every process that carries *tag* until three looks find none; how many were killed."""
    killed: set[int] = set()  # One that is dying may be met again.
    empty_looks = 0
    while empty_looks < 3:
        found = {pid for pid in find_leftovers(tag) if _kill(pid, tag)}
        empty_looks = 0 if found else empty_looks + 1
        killed |= found
    return len(killed)


def _kill(pid: int, tag: str) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not _carries(pid, tag):  # Looked at again: the number may have a new owner by now.
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        return True
    finally:
        os.close(handle)


def _carries(pid: int, tag: str) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False  # Gone, a zombie, or another user's.
    return os.fsencode(f"{TAG_VARIABLE}={tag}") in environment.split(b"\0")
