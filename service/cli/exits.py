"""The exit codes of the `data20` command; scripts rely on them."""

from enum import IntEnum

from service.errors import (
    ApiUnreachableError,
    Data20Error,
    RefusedError,
    SettingsError,
    UsageError,
)


class ExitCode(IntEnum):
    """What became of a command."""

    OK = 0
    FAILED = 1
    """The followed job failed, or the command could not do what it is for."""
    USAGE = 2
    """The command or a setting was wrong; nothing was done."""
    UNREACHABLE = 3
    """The API does not answer."""
    REFUSED = 4
    """The API answered, and refused."""
    INTERRUPTED = 130
    """Ctrl-C was pressed, or the followed job was cancelled."""


_CODES: tuple[tuple[type[Data20Error], ExitCode], ...] = (
    (SettingsError, ExitCode.USAGE),
    (UsageError, ExitCode.USAGE),
    (ApiUnreachableError, ExitCode.UNREACHABLE),
    (RefusedError, ExitCode.REFUSED),
)


def exit_code_of(error: Data20Error) -> ExitCode:
    """Return the code with which a command ends on *error*."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)


def exit_code_of_job(status: str) -> ExitCode:
    """Return the code with which a command ends that followed a job to its final *status*."""
    return {"completed": ExitCode.OK, "cancelled": ExitCode.INTERRUPTED}.get(
        status, ExitCode.FAILED
    )
