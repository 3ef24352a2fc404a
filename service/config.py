"""Every setting, typed, read once; nothing else reads the environment."""

import os
import re
import socket
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.errors import SettingsError

QUEUES = ("tools", "default", "maintenance")
"""Every queue there is, in the order in which a worker serves them."""

MOST_DELAY_SECONDS = 365 * 24 * 3600
"""How far ahead a job, or its next attempt, may be put off."""

BROKER_DATABASE = 1
CACHE_DATABASE = 0


def _plain(name: str) -> AliasChoices:
    """Take the setting from *name* too, which carries no prefix."""
    return AliasChoices(name, name.lower())


class Settings(BaseSettings):
    """What this process was told, from the environment and `.env`.

    Each setting is read from `DATA20_` and its name in capitals; the two addresses of servers
    have the names everybody gives them.
    """

    model_config = SettingsConfigDict(
        env_prefix="DATA20_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    database_url: SecretStr | None = Field(default=None, validation_alias=_plain("DATABASE_URL"))
    """PostgreSQL, as `postgresql://user:password@host/database`; empty starts an embedded one."""

    redis_url: SecretStr | None = Field(default=None, validation_alias=_plain("REDIS_URL"))
    """Redis or Valkey, as `redis://:password@host:6379` or `unix:///path`; empty starts an
    embedded one. The broker is its database 1, the cache its database 0."""

    host: str = "127.0.0.1"
    """Address the API listens on."""

    port: int = Field(default=8001, ge=0, le=65535)
    """Port the API listens on; 0 takes a free one."""

    url: str | None = None
    """Address of the API for the commands that ask it, as `http://host:port`;
    `http://HOST:PORT` when empty."""

    tools_dir: Annotated[tuple[Path, ...], NoDecode] = (Path("tools"),)
    """Folders the tools are found in, separated by `:`. Of two tools with one name the first
    counts."""

    var_dir: Path = Path("var")
    """Folder for all the service keeps: servers' data, artifacts, workspaces."""

    workspace_dir: Path | None = None
    """Folder in which each running job gets a working directory of its own; `VAR_DIR/workspaces`
    when empty."""

    artifacts_dir: Path | None = None
    """Folder in which artifacts are stored by job; `VAR_DIR/artifacts` when empty."""

    concurrency: int = Field(default=4, ge=1, le=1000)
    """Jobs one worker runs at a time."""

    queues: Annotated[tuple[str, ...], NoDecode] = QUEUES
    """Queues a worker serves, separated by `,`, the first before the others."""

    fair_seconds: float = Field(default=30, gt=0)
    """Seconds a queue may wait because those before it take every slot; then it has a turn."""

    worker_name: str = Field(default="", max_length=100, pattern=r"^[A-Za-z0-9@_.%-]*$")
    """Name of the worker, unlike that of any other live one; `worker@HOST` when empty. `%h` stands
    for the host's name."""

    local_concurrency: int = Field(default=2, ge=0, le=1000)
    """Jobs the API runs itself at a time while Redis or every worker is away; 0 runs none there."""

    local_after_seconds: float = Field(default=3, ge=0)
    """Seconds a queue must be without a live worker before the API runs its jobs."""

    soft_time_limit: int = Field(default=3300, ge=1)
    """Seconds after which a tool is asked to stop."""

    time_limit: int = Field(default=3600, ge=1)
    """Seconds after which a tool and all it started are killed."""

    grace_seconds: float = Field(default=10, ge=0)
    """Seconds between asking a tool to stop and killing it."""

    max_retries: int = Field(default=3, ge=0, le=100)
    """Further attempts a failed job gets."""

    retry_delay: float = Field(default=60, ge=0, le=MOST_DELAY_SECONDS)
    """Seconds between a failure and the next attempt."""

    max_losses: int = Field(default=3, ge=1)
    """Workers a job may lose before it counts as poison and fails."""

    lease_seconds: float = Field(default=15, gt=0)
    """Seconds a worker's right to its jobs lasts without a heartbeat."""

    heartbeat_seconds: float = Field(default=5, gt=0)
    """Seconds between two heartbeats of a worker."""

    dispatch_seconds: float = Field(default=2, gt=0)
    """Seconds between two rounds of the dispatcher."""

    drain_seconds: float = Field(default=25, ge=0)
    """Seconds a stopping worker gives its jobs to finish before it hands them back."""

    max_tasks_per_child: int = Field(default=100, ge=0)
    """Jobs after which a worker's process is replaced, for each that it runs at a time; 0 never
    does. Every job has a process of its own in any case."""

    worker_memory_mb: int = Field(default=512, ge=0)
    """Megabytes of memory a worker's own process may use before it is replaced; 0 never does."""

    log_limit_mb: int = Field(default=100, ge=1)
    """Megabytes of output kept of one attempt; what comes after is counted and left out."""

    artifacts_limit_mb: int = Field(default=1024, ge=1)
    """Megabytes of files kept of one attempt; a file that would exceed it is left out."""

    retention_hours: float = Field(default=48, ge=0, le=1_000_000)
    """Hours that a job is kept after its end, with its output, events and files."""

    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    """Least severe message that is logged: `debug`, `info`, `warning` or `error`."""

    log_format: str = Field(default="auto", pattern="^(auto|console|json)$")
    """`console` for people, `json` for machines, `auto` to choose by whether a terminal reads."""

    @field_validator("url")
    @classmethod
    def _know_scheme(cls, value: str | None) -> str | None:
        if value and not re.match(r"https?://[^/\s]", value):
            message = "must be an address such as http://127.0.0.1:8001"
            raise ValueError(message)
        return value

    @field_validator("tools_dir", mode="before")
    @classmethod
    def _split_folders(cls, value: Any) -> Any:  # noqa: ANN401  # Whatever the environment holds.
        return tuple(filter(None, value.split(os.pathsep))) if isinstance(value, str) else value

    @field_validator("queues", mode="before")
    @classmethod
    def _split_queues(cls, value: Any) -> Any:  # noqa: ANN401  # Whatever the environment holds.
        if isinstance(value, str):
            return tuple(filter(None, (name.strip() for name in value.split(","))))
        return value

    @field_validator("queues")
    @classmethod
    def _know_queues(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name not in QUEUES]
        if unknown or not value or len(set(value)) != len(value):
            message = f"must be some of {', '.join(QUEUES)}, each once"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _order_limits(self) -> "Settings":
        if self.soft_time_limit > self.time_limit:
            message = "soft_time_limit must not be above time_limit"
            raise ValueError(message)
        if self.heartbeat_seconds * 2 > self.lease_seconds:
            message = "heartbeat_seconds must be at most half of lease_seconds"
            raise ValueError(message)
        return self

    @cached_property
    def workspaces(self) -> Path:
        """Folder of the jobs' working directories, absolute."""
        return (self.workspace_dir or self.var_dir / "workspaces").absolute()

    @cached_property
    def spool(self) -> Path:
        """Folder of the ends of jobs that PostgreSQL could not be told of, absolute."""
        return (self.var_dir / "spool").absolute()

    @cached_property
    def artifacts(self) -> Path:
        """Folder of the stored artifacts, absolute."""
        return (self.artifacts_dir or self.var_dir / "artifacts").absolute()

    @cached_property
    def api_url(self) -> str:
        """Where commands find the API, without a slash at the end."""
        if self.url:
            return self.url.rstrip("/")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @cached_property
    def worker(self) -> str:
        """The worker's name with its host filled in."""
        return (self.worker_name or "worker@%h").replace("%h", socket.gethostname())


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401  # As many types as settings.
    """Read the settings; *overrides* are those the command line named and win.

    Raises SettingsError naming each wrong setting and its rule.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        lines = [
            f"{_environment_name(fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_url=False)
        ]
        raise SettingsError("; ".join(lines)) from None


def _environment_name(loc: tuple[int | str, ...]) -> str:
    if not loc:
        return "settings"
    name = str(loc[0]).upper()
    return name if name in {"DATABASE_URL", "REDIS_URL"} else f"DATA20_{name}"
