"""A tool that spreads: children in sessions of their own, a daemon, one that forks for ever.

Run as a script, with `stay` or `leave` for what its main process does then.
"""

import os
import signal
import sys
import time

LAST_SECONDS = 600


def stay() -> None:
    """Do nothing for long."""
    time.sleep(LAST_SECONDS)


def leave_session() -> None:
    """Begin a session of one's own."""
    os.setsid()
    stay()


def turn_deaf() -> None:
    """Ignore each signal that can be."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    stay()


def daemonise() -> None:
    """Leave parent, session and output."""
    os.setsid()
    if os.fork():
        return
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    stay()


def flee() -> None:
    """Never be the same process for long; should nobody catch it, for half a minute in all."""
    os.setsid()
    end = time.monotonic() + 30
    while time.monotonic() < end and not os.fork():
        time.sleep(0.001)


for act in (stay, leave_session, leave_session, turn_deaf, daemonise, flee):
    if not os.fork():
        act()
        os._exit(0)
os.write(1, b"spread\n")
if sys.argv[1] == "stay":
    stay()
