"""From a tool and its parameters to the job that is to be: every default filled in."""

from collections.abc import Mapping
from typing import Any

from service.config import Settings
from service.store.records import NewJob
from service.tools.tool import Tool

DEFAULT_PRIORITY = 5
"""Priorities go from 1, which is served first, to 10."""


def plan(tool: Tool, parameters: Mapping[str, Any], settings: Settings) -> NewJob:
    """Return the job: what the tool says goes before the settings, but no limit above theirs."""
    options = tool.options
    hard = min(_first(options.time_limit, settings.time_limit), settings.time_limit)
    soft = min(_first(options.soft_time_limit, settings.soft_time_limit), settings.soft_time_limit)
    return NewJob(
        tool_name=tool.name,
        parameters=dict(parameters),
        queue=tool.queue,
        priority=int(_first(options.priority, DEFAULT_PRIORITY)),
        max_attempts=1 + int(_first(options.max_retries, settings.max_retries)),
        retry_delay_seconds=_first(options.retry_delay, settings.retry_delay),
        soft_limit_seconds=min(soft, hard),
        hard_limit_seconds=hard,
    )


def _first(of_tool: float | None, of_service: float) -> float:
    return of_service if of_tool is None else of_tool
