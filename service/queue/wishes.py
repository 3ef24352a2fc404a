"""What a request may ask of its job beside the tool's parameters, and by which rules."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from service.config import MOST_DELAY_SECONDS, Settings
from service.errors import InvalidRequestError, Violation
from service.tools.tool import Tool


@dataclass(frozen=True, slots=True)
class Wishes:
    """What one request asks for; None leaves it to the tool, and then to the settings."""

    soft_time_limit: float | None = None
    time_limit: float | None = None
    max_retries: int | None = None
    retry_delay: float | None = None
    priority: int | None = None
    queue: str | None = None
    delay: float | None = None
    run_at: datetime | None = None


NO_WISHES = Wishes()


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a job may run, in seconds."""

    soft: float
    hard: float


def settle_limits(tool: Tool, settings: Settings, wishes: Wishes = NO_WISHES) -> Limits:
    """Return a job's limits: what is wished, else the tool's, else the settings', the least first.

    What the tool's author wrote is cut to what the service allows. Wishes must have passed
    `check`, which tells their author instead.
    """
    options = tool.options
    hard = wishes.time_limit or min(options.time_limit or settings.time_limit, settings.time_limit)
    soft = wishes.soft_time_limit or min(
        options.soft_time_limit or settings.soft_time_limit, settings.soft_time_limit
    )
    return Limits(min(soft, hard), hard)


def check(tool: Tool, settings: Settings, wishes: Wishes) -> None:
    """Raise InvalidRequestError with every rule that the wishes break together or with others'."""
    violations = [*_limits(tool, settings, wishes), *_moment(wishes)]
    if violations:
        raise InvalidRequestError(violations)


def _limits(tool: Tool, settings: Settings, wishes: Wishes) -> Iterator[Violation]:
    allowed = settle_limits(tool, settings).hard
    hard = wishes.time_limit or allowed
    if hard > allowed:
        owner = "this service" if allowed == settings.time_limit else f"tool {tool.name}"
        yield _above("time_limit", hard, f"{allowed:g} seconds, the limit of {owner}")
    soft, of_tool = wishes.soft_time_limit, tool.options.soft_time_limit
    if soft is None:
        return
    if soft > hard:
        yield _above("soft_time_limit", soft, f"{hard:g} seconds, the hard limit")
    elif of_tool is not None and soft > of_tool:
        yield _above(
            "soft_time_limit", soft, f"{of_tool:g} seconds, the soft limit of tool {tool.name}"
        )


def _moment(wishes: Wishes) -> Iterator[Violation]:
    if wishes.run_at is None:
        return
    told = wishes.run_at.isoformat()
    if wishes.delay is not None:
        message = "run_at: give either delay or run_at, not both"
        yield Violation(("body", "run_at"), "conflict", message, told)
    # By this host's clock; a year more or less an hour does not matter.
    if (wishes.run_at - datetime.now(UTC)).total_seconds() > MOST_DELAY_SECONDS:
        yield Violation(("body", "run_at"), "maximum", "run_at: must be at most a year ahead", told)


def _above(name: str, value: float, bound: str) -> Violation:
    return Violation(("body", name), "maximum", f"{name}: must be at most {bound}", value)
