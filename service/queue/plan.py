"""From a tool, its parameters and a request's wishes to the job that is to be."""

from collections.abc import Mapping
from typing import Any, TypeVar

from service.config import Settings
from service.queue.wishes import NO_WISHES, Wishes, check, settle_limits
from service.store.records import NewJob
from service.tools.tool import Tool

DEFAULT_PRIORITY = 5
"""Priorities go from 1, which is served first, to 10."""

_T = TypeVar("_T")


def plan(
    tool: Tool, parameters: Mapping[str, Any], settings: Settings, wishes: Wishes = NO_WISHES
) -> NewJob:
    """Return the job, every default filled in: the wish goes before the tool, the tool before us.

    No limit is above the settings'. Raises InvalidRequestError for wishes that break a rule.
    """
    check(tool, settings, wishes)
    options = tool.options
    limits = settle_limits(tool, settings, wishes)
    return NewJob(
        tool_name=tool.name,
        parameters=dict(parameters),
        queue=_first(wishes.queue, tool.queue),
        priority=_first(wishes.priority, options.priority, DEFAULT_PRIORITY),
        max_attempts=1 + _first(wishes.max_retries, options.max_retries, settings.max_retries),
        retry_delay_seconds=_first(wishes.retry_delay, options.retry_delay, settings.retry_delay),
        soft_limit_seconds=limits.soft,
        hard_limit_seconds=limits.hard,
        delay_seconds=wishes.delay,
        run_at=wishes.run_at,
    )


def _first(*given: _T | None) -> _T:
    """Return the first that is not None; the last one never is."""
    return next(each for each in given if each is not None)
