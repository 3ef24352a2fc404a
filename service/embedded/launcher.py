"""Become the account a server runs under, tie it to its owner's life, and exec it.

    python -I -S launcher.py OWNER SIGNAL UID GID PATH... -- PROGRAM ARGUMENT...

A script of its own, of the standard library alone, because none of this may happen between a fork
and an exec in a process that has threads. OWNER is the caller's process id; SIGNAL is what the
kernel sends the program when the caller's thread ends (prctl(2), PR_SET_PDEATHSIG).

PostgreSQL refuses to run as root, and no server needs to. Root therefore becomes UID and GID
here. The PATHs are what the program must reach; where the account cannot (a checkout below
`/root`), it keeps one capability that lets it (capabilities(7), ambient set), and no directory's
mode is touched.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

# From <linux/prctl.h>, <linux/securebits.h> and <linux/capability.h>.
PR_SET_PDEATHSIG = 1
PR_GET_SECUREBITS = 27
PR_SET_SECUREBITS = 28
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAP_SETPCAP = 8

# The weaker first. It does not help where a program itself is executable for root alone, and
# container engines give the stronger one by default but not this one.
REACHING = (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE)

RESET_SIGNALS = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGPIPE,
    signal.SIGXFSZ,
)

_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: Sequence[str]) -> NoReturn:
    """Do as the module says; exit with a sentence on stderr where that is impossible."""
    end = arguments.index("--")
    owner, death_signal, uid, gid = map(int, arguments[:4])
    command = list(arguments[end + 1 :])
    if uid != os.geteuid():
        try:
            become(uid, gid, arguments[4:end])
        except OSError as error:
            sys.exit(f"cannot become user id {uid}: {error.strerror}")
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    tie_to(owner, death_signal)
    reset_signals()
    os.umask(0o077)
    os.execv(command[0], command)  # noqa: S606  # There is no shell, and none is wanted.


def become(uid: int, gid: int, needed: Iterable[str]) -> None:
    """Run as *uid* and *gid* from here on, able to reach every path of *needed*.

    Without NO_SETUID_FIXUP the kernel would take every capability with the user id, and access(2),
    by which PostgreSQL looks for its own programs, would ignore the one that is kept.
    """
    before = prctl(PR_GET_SECUREBITS)
    keeps = has_capability(CAP_SETPCAP)
    if keeps:
        prctl(PR_SET_SECUREBITS, before | SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    permitted = permitted_capabilities()
    set_capabilities(permitted=permitted, effective=0)
    if not unreachable(needed):
        if keeps:
            set_capabilities(permitted=permitted, effective=1 << CAP_SETPCAP)
            prctl(PR_SET_SECUREBITS, before)
        set_capabilities(permitted=0, effective=0)
        return
    for capability in REACHING:
        bit = 1 << capability
        if not permitted & bit:
            continue
        set_capabilities(permitted=permitted, effective=bit)
        if not unreachable(needed):
            set_capabilities(permitted=bit, effective=bit, inheritable=bit)
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)
            return
    set_capabilities(permitted=0, effective=0)
    sys.exit(
        f"user id {uid} cannot reach {unreachable(needed)}, and this process has no right to let"
        " it: move the folder to where every user can enter, or start as an ordinary user"
    )


def unreachable(needed: Iterable[str]) -> str:
    """Return the first path that cannot be read and entered or run; empty when all can."""
    return next((path for path in needed if not os.access(path, os.R_OK | os.X_OK)), "")


def tie_to(owner: int, death_signal: int) -> None:
    """Have the kernel send *death_signal* when the owner dies; exit if it is dead already."""
    prctl(PR_SET_PDEATHSIG, death_signal)  # After become(): changing the user id clears it.
    if os.getppid() != owner:
        sys.exit("the owner is gone")


def reset_signals() -> None:
    """Undo what Python ignores and the caller may have ignored or blocked: exec keeps both."""
    for number in RESET_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def prctl(option: int, *arguments: int) -> int:
    """Ask the kernel for *option* (prctl(2)); raise OSError when it refuses."""
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    result = int(_libc.prctl(option, *padded))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}: {os.strerror(ctypes.get_errno())}")
    return result


def permitted_capabilities() -> int:
    """Return the set of capabilities this process may use, a bit each."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    words = (ctypes.c_uint32 * 6)()  # Effective, permitted, inheritable: low words, then high.
    if _libc.capget(header, words) < 0:
        raise OSError(ctypes.get_errno(), "capget")
    return words[1] | words[4] << 32


def has_capability(capability: int) -> bool:
    """Tell whether this process may use *capability*."""
    return bool(permitted_capabilities() >> capability & 1)


def set_capabilities(*, permitted: int, effective: int, inheritable: int = 0) -> None:
    """Give up every capability outside *permitted*; *effective* says which are in force."""
    sets = (effective, permitted, inheritable)
    words = [value & 0xFFFFFFFF for value in sets] + [value >> 32 for value in sets]
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    if _libc.capset(header, (ctypes.c_uint32 * 6)(*words)) < 0:
        raise OSError(ctypes.get_errno(), "capset")


if __name__ == "__main__":
    main(sys.argv[1:])
