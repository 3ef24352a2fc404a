"""Our worker as it is, but for the tool: a job is claimed, announced, ended and announced.

Started by `durable.py`, which gives the settings in the environment; it serves until SIGTERM.
"""

import asyncio

from service.config import load_settings
from service.execution.outcome import Outcome
from service.execution.tail import NO_TAIL
from service.jobs import run_tool
from service.jobs.attempt import Attempt
from service.log import configure_logging
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


class NoAttempt(Attempt):
    """An attempt that starts no process and leaves no file."""

    async def run(self) -> Outcome:
        """Succeed at once."""
        return _NOTHING


def main() -> None:
    """Serve."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    run_tool.Attempt = NoAttempt
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    Worker(settings=settings).run()


if __name__ == "__main__":
    main()
