"""`data20 up` as a user starts it, in a folder of its own, and what is left when it has stopped."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

CHECKOUT = Path(__file__).parents[2]
TEST_TOOLS = Path(__file__).parent / "tools"
COMMAND = (sys.executable, "-m", "service")

STOP_SECONDS = 60.0
_OPEN = "  ->  open "


@dataclass(frozen=True)
class RunningStack:
    """A whole service that answers."""

    url: str
    env: Mapping[str, str]
    """What the `data20` command needs to find it and its tools."""
    folder: Path
    """An empty working directory; `var` in it is the service's."""
    process: "subprocess.Popen[str]"
    """`data20 up`; the API and the worker are among its children."""
    said: tuple[str, ...]
    """The lines it printed until it was open."""

    @property
    def var_dir(self) -> Path:
        """Where the service keeps everything."""
        return self.folder / "var"

    def log(self) -> str:
        """Return what the service has logged so far."""
        return (self.folder / "stderr").read_text()

    def child(self, name: str) -> psutil.Process:
        """Return the process of `data20 api` or `data20 worker`."""
        for process in self.children(name):
            return process
        raise AssertionError(f"`data20 {name}` is not running")

    def children(self, name: str) -> list[psutil.Process]:
        """Return all processes of one command; a worker may have a successor beside it."""
        found: list[psutil.Process] = []
        for process in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # It has ended, and nobody has noticed yet.
                if process.cmdline()[1:5] == ["-P", "-m", "service", name]:
                    found.append(process)
        return found


def clean_environment(**given: str) -> dict[str, str]:
    """Return this process's environment without settings of the service, and with *given*."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DATA20_") and name not in {"DATABASE_URL", "REDIS_URL"}
    }
    return {**kept, "PYTHONPATH": str(CHECKOUT), **given}


@contextmanager
def running_stack(**settings: str) -> Generator[RunningStack]:
    """Run `data20 up` on a free port; stop it as Ctrl-C does and see that nothing is left.

    *settings* are environment variables by name (`DATA20_LEASE_SECONDS="4"`).
    """
    with stack_folder() as folder, started_stack(folder, **settings) as stack:
        yield stack
        _stop(stack.process, folder)


@contextmanager
def stack_folder() -> Generator[Path]:
    """Give an empty folder for a service to live in."""
    with tempfile.TemporaryDirectory(prefix="data20-tests-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # Root's servers run as another user.
        yield folder


@contextmanager
def started_stack(folder: Path, **settings: str) -> Generator[RunningStack]:
    """Run `data20 up` in *folder*, which may hold what an earlier one left; kill it at the end."""
    env = clean_environment(
        DATA20_VAR_DIR=str(folder / "var"),
        DATA20_PORT="0",
        DATA20_TOOLS_DIR=os.pathsep.join((str(CHECKOUT / "tools"), str(TEST_TOOLS))),
        DATA20_LOG_FORMAT="console",
        **settings,
    )
    with (folder / "stderr").open("w") as log:
        process = subprocess.Popen(
            [*COMMAND, "up"],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        said = _read_start(process, folder)
        url = said[-1].removeprefix(_OPEN).strip()
        yield RunningStack(url, {**env, "DATA20_URL": url}, folder, process, tuple(said))
    finally:
        process.kill()  # The kernel ends its children with it.
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _read_start(process: "subprocess.Popen[str]", folder: Path) -> list[str]:
    """Read what the command prints until it says where it is open."""
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line.rstrip())
        if line.startswith(_OPEN):
            return said
    log = (folder / "stderr").read_text()
    raise AssertionError(f"`data20 up` did not start: {said} {log}")


def _stop(process: "subprocess.Popen[str]", folder: Path) -> None:
    """Press Ctrl-C once; everything must be gone and the exit code 0."""
    assert process.poll() is None, f"`data20 up` ended by itself: {(folder / 'stderr').read_text()}"
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=STOP_SECONDS)
    assert process.returncode == 0, (folder / "stderr").read_text()
    left = [child for child in children if is_alive(child)] + programs_in(folder)
    assert left == [], f"left behind: {left}"


def is_alive(process: psutil.Process) -> bool:
    """Tell whether the process still runs; one that nobody has buried yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def programs_in(folder: Path) -> list[psutil.Process]:
    """Return every process whose command names *folder*."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(folder) in " ".join(process.info["cmdline"] or ()) and is_alive(process)
    ]
