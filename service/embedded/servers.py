"""Real PostgreSQL and Valkey for whoever has none: one owner, one folder, both servers."""

from pathlib import Path
from types import TracebackType
from typing import Self

from service.embedded.account import choose_account
from service.embedded.locks import FileLock
from service.embedded.passwords import Passwords
from service.embedded.postgres import PostgresServer
from service.embedded.server import Place, Server
from service.embedded.sockets import SocketFolder
from service.embedded.valkey import ValkeyServer
from service.errors import AlreadyOwnedError, EmbeddedServerError


class EmbeddedServers:
    """PostgreSQL and Valkey with their data in *folder*, for as long as their owner lives.

    The owner is the process that calls `start`, from its main thread. However it ends, the servers
    end with it, and the next start finds all they had. Nobody else can own *folder* meanwhile.

        folder/
          owner.lock       who owns the servers
          passwords.json   drawn at the first start
          postgres/  postgresql.log  postgresql.lock
          valkey/    valkey.log      valkey.lock
          sockets/         there while the servers run
    """

    def __init__(self, folder: Path, *, postgres: bool = True, redis: bool = True) -> None:
        self.folder = folder.resolve()
        self._wants_postgres = postgres
        self._wants_redis = redis
        self._owner_lock = FileLock(self.folder / "owner.lock")
        self._sockets: SocketFolder | None = None
        self._postgres: PostgresServer | None = None
        self._valkey: ValkeyServer | None = None

    def start(self) -> None:
        """Return when both servers answer.

        Raises AlreadyOwnedError when the folder has an owner, and EmbeddedServerError, leaving no
        process behind, when a server cannot be started.
        """
        self._own_folder()
        try:
            self._start_servers()
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise EmbeddedServerError(f"The servers in {self.folder}: {error}") from error
            raise

    def stop(self) -> None:
        """Stop both servers cleanly, within seconds, and give the folder up."""
        servers = self._servers()
        try:
            for server in servers:
                server.ask_to_stop()
            for server in servers:
                server.wait_until_stopped()
        finally:
            for server in servers:
                server.data_lock.release()  # Held until now only when the start failed half-way.
            if self._sockets is not None:
                self._sockets.remove()
            self._sockets = self._postgres = self._valkey = None
            self._owner_lock.release()

    def revive(self) -> list[str]:
        """Start again each server that has ended by itself; return their names.

        Raises EmbeddedServerError when one cannot be started.
        """
        ended = [server for server in self._servers() if not server.is_running]
        for server in ended:
            server.start()
        return [server.name for server in ended]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def database_url(self) -> str:
        """PostgreSQL's address while it runs, as `postgresql://user:password@/name?host=folder`."""
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        """Valkey's address while it runs, as `unix://:password@path`, without a database."""
        return self.valkey.url

    @property
    def postgres(self) -> PostgresServer:
        """The PostgreSQL; RuntimeError unless it was asked for and started."""
        if self._postgres is None:
            raise RuntimeError("PostgreSQL was not started")
        return self._postgres

    @property
    def valkey(self) -> ValkeyServer:
        """The Valkey; RuntimeError unless it was asked for and started."""
        if self._valkey is None:
            raise RuntimeError("Valkey was not started")
        return self._valkey

    def _servers(self) -> list[Server]:
        return [server for server in (self._valkey, self._postgres) if server is not None]

    def _own_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            is_ours = not self._owner_lock.is_held and self._owner_lock.acquire()
        except OSError as error:
            raise EmbeddedServerError(
                f"The servers cannot live in {self.folder}: {error}"
            ) from error
        if not is_ours:
            raise AlreadyOwnedError(
                f"Process {self._owner_lock.holder() or 'unknown'} runs the servers in"
                f" {self.folder} already: stop it, use the servers it runs, or give another folder"
            )

    def _start_servers(self) -> None:
        account = choose_account(self.folder / "postgres")
        passwords = Passwords.load(self.folder / "passwords.json")
        sockets = self._sockets = SocketFolder(self.folder / "sockets", account)
        place = Place(self.folder, sockets, account)
        if self._wants_redis:
            self._valkey = ValkeyServer(place, passwords.valkey)
        if self._wants_postgres:
            self._postgres = PostgresServer(place, passwords.postgres)
        for server in self._servers():
            server.wait_for_predecessor()
        sockets.open()
        for server in self._servers():  # Valkey first: it loads while PostgreSQL's data is made.
            server.launch()
        for server in self._servers():
            server.wait_until_ready()
