"""Keep one tool's process tree: start it, reap it, end all of it. Runs as a script of its own.

    PID namespace   worker ── launcher ── init (process 1 inside) ── tool ── what the tool starts
    sub-reaper      worker ── init ── tool ── what the tool starts

The worker holds the writing end of the *control* pipe and writes lines:

    stop           ask the tool's main process to stop (SIGTERM)
    until MOMENT   the worker's lease surely holds until MOMENT, in nanoseconds of CLOCK_BOOTTIME

Its closing, be it on purpose or because the worker is gone, ends the tree. So does MOMENT, unless a
later one has come: a worker that is stopped, or cut off from PostgreSQL, sends none, and its job
may be somebody else's then. A tool whose moment has passed is not started. Without any `until`
there is no end.

On the *status* pipe the worker finds records ended by NUL bytes: `refused CODE SENTENCE` when the
tool could not be started, `ended WAITSTATUS` when its main process ended, `expired` when MOMENT
ended the tree.

In a namespace the kernel ends the tree in the moment init ends, and each process dies with the one
before it (PR_SET_PDEATHSIG), so nothing can outlive the worker. A sub-reaper kills its children
until it has none; it is safe as long as nobody kills init itself (then only the tool's main process
dies with it).

Only the standard library, and little of it: this file's start is part of every job's.
"""

import contextlib
import ctypes
import errno
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable

NOT_FOUND = 127
CANNOT_RUN = 126
"""Exit codes of POSIX shells for a command that is not there, or cannot be executed."""

NOT_KEPT = 125
"""Ours, when the tree could not be made safe and so the tool was not started."""

# linux/prctl.h, linux/sched.h and linux/mount.h
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWNS = 0x0002_0000
_CLONE_NEWUSER = 0x1000_0000
_CLONE_NEWPID = 0x2000_0000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_REC, _MS_SLAVE = 0x4000, 0x80000

# linux/timerfd.h; Python knows these calls from 3.13 on.
_TFD_TIMER_ABSTIME = 1
_TFD_CLOEXEC = os.O_CLOEXEC
_NANOSECONDS = 1_000_000_000

_OOM_SCORE = b"500"
_RECORD_BYTES = 2000  # Below PIPE_BUF, so that a record is written whole.

_libc = ctypes.CDLL(None, use_errno=True)


class Order:
    """What the worker wants kept, as it stands on the command line."""

    def __init__(self, arguments: list[str]) -> None:
        self.isolation, worker, control, status, self.cwd, *self.argv = arguments
        self.worker = int(worker)
        self.control = int(control)
        self.status = int(status)


class Control:
    """What the worker says on the control pipe, and the timer that it sets."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.timer = _make_timer()
        self.is_closed = False
        self.asks_to_stop = False
        self._until: int | None = None
        self._rest = b""

    @property
    def wants_end(self) -> bool:
        """True when the tree must end, be it because nobody says otherwise."""
        return self.is_closed or self.is_expired

    @property
    def is_expired(self) -> bool:
        """True when the worker's lease may be over."""
        return self._until is not None and time.clock_gettime_ns(time.CLOCK_BOOTTIME) >= self._until

    def listen(self) -> None:
        """Take in what the worker has written; waits when there is nothing."""
        said = os.read(self.descriptor, 4096)
        self.is_closed = not said
        *lines, self._rest = (self._rest + said).split(b"\n")
        for line in lines:
            word, _, moment = line.partition(b" ")
            if word == b"stop":
                self.asks_to_stop = True
            elif word == b"until":
                self._until = int(moment)
                _set_timer(self.timer, self._until)


def main(arguments: list[str]) -> None:
    """Keep the tool that *arguments* describe, until it and all it started are gone."""
    order = Order(arguments)
    for descriptor in (order.control, order.status):
        os.set_inheritable(descriptor, False)  # noqa: FBT003  # Has no keywords.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        signal.signal(number, signal.SIG_IGN)
    if order.isolation == "pid namespace":
        _keep_in_namespace(order)
    else:
        _keep_as_reaper(order)


def _keep_in_namespace(order: Order) -> None:
    try:
        _enter_namespaces()
    except OSError as error:
        _report(order, f"refused {NOT_KEPT} Cannot make a PID namespace: {error.strerror}")
        os._exit(1)
    _die_with_parent()  # After the namespaces: new credentials may clear it.
    if os.getppid() != order.worker:
        os._exit(1)
    launcher = os.pidfd_open(os.getpid())
    init = os.fork()
    if init:
        os.waitpid(init, 0)  # Returns when the kernel has reaped the whole namespace.
        os._exit(0)
    _die_with_parent()
    if select.select([launcher], [], [], 0)[0]:  # It died before we said so.
        os._exit(1)
    os.close(launcher)
    with contextlib.suppress(OSError):  # A container may forbid it; /proc is then the host's.
        _mount_proc()
    _keep(order, before_tool=lambda: None)
    os._exit(0)


def _keep_as_reaper(order: Order) -> None:
    _system_call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    init = os.getpid()

    def die_with_init() -> None:
        _die_with_parent()
        if os.getppid() != init:
            os._exit(1)

    _keep(order, before_tool=die_with_init)
    _kill_children()
    os._exit(0)


def _enter_namespaces() -> None:
    """Give our children PID and mount namespaces of their own.

    Where only the owner of a user namespace may do that, become one. We stay who we are in it,
    and what it allows us is lost when the tool is executed.
    """
    try:
        _system_call("unshare", _CLONE_NEWPID | _CLONE_NEWNS)
    except PermissionError:
        user, group = os.geteuid(), os.getegid()
        _system_call("unshare", _CLONE_NEWUSER | _CLONE_NEWPID | _CLONE_NEWNS)
        _write("/proc/self/setgroups", b"deny")
        _write("/proc/self/uid_map", b"%d %d 1" % (user, user))
        _write("/proc/self/gid_map", b"%d %d 1" % (group, group))


def _mount_proc() -> None:
    """Show the tree its own processes only. The host's later mounts still reach it, not back."""
    _system_call("mount", b"none", b"/", None, _MS_REC | _MS_SLAVE, None)
    _system_call("mount", b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None)


def _keep(order: Order, before_tool: Callable[[], None]) -> None:
    """Start the tool; return when its main process has ended, or the worker wants it ended."""
    wake, wake_writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wake_writer)
    control = Control(order.control)
    if select.select([control.descriptor], [], [], 0)[0]:
        control.listen()
    if not control.wants_end:  # The worker may have been stopped while it started us.
        tool = _start_tool(order, before_tool)
        if _watch(order, control, tool, wake):
            return
    if control.is_expired:
        _report(order, "expired")


def _watch(order: Order, control: Control, tool: int, wake: int) -> bool:
    """Do what the worker says; True when the tool's main process has ended by then."""
    poll = select.poll()
    for descriptor in (wake, control.timer, control.descriptor):
        poll.register(descriptor, select.POLLIN)
    while not control.wants_end:
        if control.asks_to_stop:
            control.asks_to_stop = False
            _signal_child(tool, signal.SIGTERM)
        ready = {descriptor for descriptor, _event in poll.poll()}
        if control.descriptor in ready:
            control.listen()
        if wake in ready:
            os.read(wake, 4096)
            status = _reap(tool)
            if status is not None:
                _report(order, f"ended {status}")
                return True
    return False


def _start_tool(order: Order, before_tool: Callable[[], None]) -> int:
    # Until its signals are its own again, none may reach the tool: ours are ignored.
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    tool = os.fork()
    if tool:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        return tool
    try:
        before_tool()
        os.setsid()
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _offer_to_oom_killer()
        _execute(order)
    finally:
        os._exit(NOT_KEPT)


def _execute(order: Order) -> None:
    """Become the tool; return only when that cannot be, having said why."""
    try:
        os.chdir(order.cwd)
    except OSError as error:
        sentence = f"Cannot enter the working directory {order.cwd}: {error.strerror}"
        _report(order, f"refused {CANNOT_RUN} {sentence}")
        os._exit(CANNOT_RUN)
    try:
        os.execvp(order.argv[0], order.argv)  # noqa: S606  # A shell is what we avoid.
    except OSError as error:
        code = NOT_FOUND if error.errno in {errno.ENOENT, errno.ENOTDIR} else CANNOT_RUN
        _report(order, f"refused {code} Cannot run {order.argv[0]}: {error.strerror}")
        os._exit(code)


def _offer_to_oom_killer() -> None:
    """When memory runs out, let the kernel take the tool rather than the worker."""
    with contextlib.suppress(OSError):  # Ours may be above it already.
        _write("/proc/self/oom_score_adj", _OOM_SCORE)


def _reap(tool: int) -> int | None:
    """Reap all who have ended; the wait status of *tool* when it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == tool:
            found = status


def _kill_children() -> None:
    """Kill until no child is left.

    Whoever loses its parent becomes our child, so no child means that nobody is left below us. A
    tree that forks as fast as it can is met by looking at the newest processes first.
    """
    own = b"%d" % os.getpid()
    while True:
        names = [entry.name for entry in os.scandir("/proc")]
        for pid in sorted(map(int, filter(str.isdecimal, names)), reverse=True):
            if _parent(pid) == own:
                _signal_child(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0)


def _signal_child(pid: int, number: int) -> None:
    """Signal a child nobody has reaped yet, so that its number is still its own."""
    with contextlib.suppress(PermissionError):  # It executed a set-user-id program.
        os.kill(pid, number)


def _parent(pid: int) -> bytes:
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 1024).rpartition(b")")[2].split()[1]
    except (OSError, IndexError):
        return b""
    finally:
        os.close(descriptor)


def _die_with_parent() -> None:
    _system_call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _make_timer() -> int:
    """Make a timer of the clock that goes on while the host sleeps; poll's own does not."""
    timer = _libc.timerfd_create(time.CLOCK_BOOTTIME, _TFD_CLOEXEC)
    if timer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return timer


def _set_timer(timer: int, moment: int) -> None:
    """Have *timer* become readable at *moment*, and no earlier."""
    interval_and_value = (ctypes.c_long * 4)(0, 0, *divmod(moment, _NANOSECONDS))
    _system_call(
        "timerfd_settime", timer, _TFD_TIMER_ABSTIME, ctypes.byref(interval_and_value), None
    )


def _report(order: Order, record: str) -> None:
    line = os.fsencode(record)[:_RECORD_BYTES] + b"\0"
    with contextlib.suppress(BrokenPipeError):  # Nobody is left to be told.
        os.write(order.status, line)


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def _system_call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(sys.argv[1:])
