"""Everything this service can refuse or fail at, and what the user reads then.

    Data20Error
    ├── SettingsError             a setting is wrong; the service does not start
    ├── UsageError                a command was called with what it cannot take
    ├── ApiUnreachableError       the API does not answer the command that asks it
    ├── RefusedError              the API answers a command with a problem
    ├── NotFoundError
    │   ├── ToolNotFoundError
    │   ├── JobNotFoundError
    │   └── ArtifactNotFoundError
    ├── InvalidParametersError    a job's parameters break its tool's schema
    ├── InvalidRequestError       what is asked breaks a rule of the service
    ├── ToolBrokenError           the tool's file is there and cannot be read
    ├── JobFinishedError          the job has ended; nothing can change it
    ├── StoreUnavailableError     PostgreSQL does not answer
    │   └── StoreDownError        it is known not to run: nobody gets an answer
    ├── BrokerUnavailableError    Redis does not answer
    ├── StoppingError             this worker stops before it is done
    ├── WorkerNameTakenError      a live worker has this name
    └── EmbeddedServerError       an embedded server does not start
        └── AlreadyOwnedError     another process runs the servers in this folder

No error here knows an HTTP status; `web/problems.py` does.
"""

from dataclasses import dataclass


class Data20Error(Exception):
    """The service cannot do what was asked."""


class SettingsError(Data20Error):
    """A setting is wrong. The message names it and the rule it breaks."""


class UsageError(Data20Error):
    """A command was called with what it cannot take."""


class ApiUnreachableError(Data20Error):
    """The API does not answer the command that asks it; the message says where that looked."""


class RefusedError(Data20Error):
    """The API answers a command with a problem; the message is what it says of it.

    `is_passing` tells that the same request may succeed a little later.
    """

    def __init__(self, message: str, *, is_passing: bool = False) -> None:
        super().__init__(message)
        self.is_passing = is_passing


class NotFoundError(Data20Error):
    """Nothing of that name exists."""


class ToolNotFoundError(NotFoundError):
    """No tool has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Tool {name} not found")
        self.name = name


class JobNotFoundError(NotFoundError):
    """No job has this id."""

    def __init__(self, job_id: object) -> None:
        super().__init__(f"Job {job_id} not found")
        self.job_id = job_id


class ArtifactNotFoundError(NotFoundError):
    """The job has no artifact of this name."""

    def __init__(self, job_id: object, name: str) -> None:
        super().__init__(f"Job {job_id} has no artifact {name}")
        self.job_id = job_id
        self.name = name


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that one value breaks, in the shape clients of the reference know.

    `loc` leads to the value (`("body", "parameters", "seconds")`), `rule` names the rule
    (`required`, `maximum`, ...), `message` is a sentence for people.
    """

    loc: tuple[str | int, ...]
    rule: str
    message: str
    value: object = None


class InvalidParametersError(Data20Error):
    """The parameters break the tool's schema; `violations` says where and how."""

    def __init__(self, tool_name: str, violations: list[Violation]) -> None:
        super().__init__(
            f"Parameters of {tool_name} are not valid: "
            + "; ".join(violation.message for violation in violations)
        )
        self.tool_name = tool_name
        self.violations = violations


class InvalidRequestError(Data20Error):
    """What is asked breaks a rule of the service or its tool; `violations` says where and how."""

    def __init__(self, violations: list[Violation]) -> None:
        super().__init__("; ".join(violation.message for violation in violations))
        self.violations = violations


class ToolBrokenError(Data20Error):
    """The tool's file cannot be understood, so it cannot be run."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"Tool {name} is broken: {reason}")
        self.name = name
        self.reason = reason


class JobFinishedError(Data20Error):
    """The job has ended; nothing can change it."""

    def __init__(self, job_id: object, status: str) -> None:
        super().__init__(f"Job {job_id} is already {status}")
        self.job_id = job_id
        self.status = status


class StoreUnavailableError(Data20Error):
    """PostgreSQL does not answer. Nothing was accepted; ask again."""


class StoreDownError(StoreUnavailableError):
    """PostgreSQL does not run: it refuses every connection, or is starting or shutting down.

    What does not answer may be a network that is cut, and others may go on; here nobody can.
    """


class BrokerUnavailableError(Data20Error):
    """Redis does not answer. What was accepted is kept and delivered later."""


class StoppingError(Data20Error):
    """This worker is stopping; somebody else takes up what it has not finished."""


class WorkerNameTakenError(Data20Error):
    """A live worker has this name; two never share one."""


class EmbeddedServerError(Data20Error):
    """An embedded server does not start. The message ends with its last words."""


class AlreadyOwnedError(EmbeddedServerError):
    """Another process runs the servers in this folder."""
