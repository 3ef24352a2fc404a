"""One tool: what it is called, what it takes, how it is started."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.config import QUEUES
from service.tools.options import Options
from service.tools.schema import build_schema
from service.tools.signature import Signature

DEFAULT_CATEGORY = "general"


@dataclass(frozen=True, slots=True)
class Tool:
    """A file that can be run as a job, or that was meant to be and cannot be read."""

    name: str
    path: Path
    """Absolute; never shown to clients."""
    title: str
    description: str = ""
    category: str = DEFAULT_CATEGORY
    signature: Signature = field(default_factory=Signature)
    options: Options = field(default_factory=Options)
    schema: Mapping[str, Any] = field(default_factory=lambda: build_schema(Signature(), {}))
    """JSON Schema of the parameters; treat as read-only."""
    broken_reason: str | None = None
    """Why it cannot be run; None when it can."""
    notes: tuple[str, ...] = ()
    """What its author or user should know, a sentence each."""

    @property
    def is_broken(self) -> bool:
        """True when it is listed but cannot be run."""
        return self.broken_reason is not None

    @property
    def command(self) -> tuple[str, ...]:
        """What starts it; its arguments come after."""
        return (sys.executable, str(self.path))

    @property
    def queue(self) -> str:
        """The queue its jobs wait in."""
        return self.options.queue or QUEUES[0]

    def describe(self) -> dict[str, Any]:
        """Return what clients may know of it; None means the service's own setting."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "category": self.category,
            "parameters": dict(self.schema),
            "queue": self.queue,
            "soft_time_limit": self.options.soft_time_limit,
            "time_limit": self.options.time_limit,
            "max_retries": self.options.max_retries,
            "retry_delay": self.options.retry_delay,
            "priority": self.options.priority,
            "workspace": self.options.workspace or "job",
            "broken": self.is_broken,
            "reason": self.broken_reason,
            "notes": list(self.notes),
            "file": printable(self.path.name),
        }


def printable(text: str) -> str:
    """Return *text* with what JSON or a terminal could not carry written as escapes."""
    return text if text.isprintable() else ascii(text)[1:-1]
