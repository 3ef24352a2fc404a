"""Who starts a worker's successor, and who stays when the worker that a user started has ended.

`data20 up` does both for its worker, which asks with SIGUSR1. A worker started alone starts its
successor itself, as a child tied to it; when its own jobs are done, it becomes the watcher of that
child by executing this program anew. So the process that a user, a container or a supervisor knows
is always there, with fresh memory: it passes signals on, and kill -9 of it leaves nothing.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

ASKS_FOR_SUCCESSOR = signal.SIGUSR1
"""Sent by a worker to the process that owns it."""

_HEEDED = frozenset(
    {signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, ASKS_FOR_SUCCESSOR}
)


class OwnSuccession:
    """That of a worker which nobody watches over."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[bytes]] = []

    def begin(self) -> None:
        """Start a worker with our own options."""
        self._children.append(_start_worker())

    def pass_on(self, number: int) -> None:
        """Send a signal to whoever came after us."""
        for child in self._children:
            if child.poll() is None:
                child.send_signal(number)

    def watch(self) -> None:
        """Become the watcher of whoever came after us; return only if nobody did."""
        if self._children:
            # They wait, and come through, until the watcher looks for them.
            signal.pthread_sigmask(signal.SIG_BLOCK, _HEEDED)
            watched = ",".join(str(child.pid) for child in self._children)
            os.execv(sys.executable, (*_command(), "--watch", watched))  # noqa: S606  # No shell.


def ask(owner: int) -> None:
    """Have the process that owns this one start a successor."""
    os.kill(owner, ASKS_FOR_SUCCESSOR)


def watch(pids: Sequence[int]) -> int:
    """Watch over workers that are our children until all have ended; return the last one's code.

    To be called in the main thread of a process that has no other.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEEDED)
    alive, code = set(pids), 0
    while True:
        for pid in tuple(alive):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                alive.remove(pid)
                code = _exit_code(status)
        if not alive:
            return code
        number = signal.sigwait(_HEEDED)
        if number == ASKS_FOR_SUCCESSOR:
            alive.add(_start_worker().pid)
        elif number != signal.SIGCHLD:
            for pid in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)


def _start_worker() -> "subprocess.Popen[bytes]":
    """Start a worker in a session of its own: Ctrl-C is for us, who pass it on."""
    return subprocess.Popen(
        (*_command(), "--owner", str(os.getpid())),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def _command() -> tuple[str, ...]:
    """Return the command that started this process, without what it was told of others."""
    options = list(sys.argv[1:])
    if "--watch" in options:
        at = options.index("--watch")
        del options[at : at + 2]
    # -P: a file called like one of our modules may lie where the command was given.
    return (sys.executable, "-P", "-m", "service", *options)


def _exit_code(status: int) -> int:
    """Return what a shell would: 128 and the signal's number for a process that was killed."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
