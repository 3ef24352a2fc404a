"""Our worker as it is, but for the tool: a job is claimed, announced, ended and announced.

Started by `durable.py`, which gives the settings in the environment; it serves until SIGTERM.
"""

import asyncio

from service.config import load_settings
from service.execution.outcome import Outcome
from service.execution.stop import Stop
from service.execution.tail import NO_TAIL
from service.jobs import run_tool
from service.jobs.context import Context
from service.log import configure_logging
from service.store.records import Job, NewArtifact
from service.worker import Worker

_NOTHING = Outcome(
    return_code=0,
    reason=None,
    message=None,
    duration_seconds=0.0,
    output=NO_TAIL,
    error=NO_TAIL,
    signals=(),
    left_out_lines=0,
    left_out_bytes=0,
)


class NoAttempt:
    """Stands where an attempt stands, and starts no process."""

    def __init__(self, context: Context, job: Job, stop: Stop) -> None:
        """Take what an attempt takes."""

    async def run(self) -> Outcome:
        """Succeed at once."""
        return _NOTHING

    async def keep_artifacts(self) -> list[NewArtifact]:
        """Leave nothing."""
        return []

    async def forget_artifacts(self) -> None:
        """Forget nothing."""

    async def clean_up(self) -> None:
        """Remove nothing."""


def main() -> None:
    """Serve."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    run_tool.Attempt = NoAttempt  # pyright: ignore[reportAttributeAccessIssue]  # It is meant to be another.
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    Worker(settings=settings).run()


if __name__ == "__main__":
    main()
