"""`/api/cron` and `/api/statistics`: what runs by the clock, and what it found out."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from service.queue.timetable import Entry
from service.store import cron_runs, statistics
from service.store.cron_runs import CronRun, RunStatus
from service.web.answers import json_answer
from service.web.state import ApiRequest


class RunView(BaseModel):
    """One run: its slot, how it went, and what it says it did."""

    slot: datetime
    status: RunStatus
    attempt: int
    worker: str | None
    started_at: datetime | None
    finished_at: datetime | None
    outcome: dict[str, Any] | None
    error: str | None

    @classmethod
    def of(cls, run: CronRun) -> "RunView":
        """Show a run."""
        return cls(**{name: getattr(run, name) for name in cls.model_fields})


class EntryView(BaseModel):
    """One function of the timetable; `last_run` is that of its latest slot."""

    name: str
    queue: str
    next_run_at: datetime
    last_run: RunView | None

    @classmethod
    def of(cls, entry: Entry, now: datetime, last: CronRun | None) -> "EntryView":
        """Show an entry as it is *now*."""
        return cls(
            name=entry.name,
            queue=entry.queue,
            next_run_at=entry.after(now),
            last_run=RunView.of(last) if last else None,
        )


async def show_timetable(request: ApiRequest) -> Response:
    """`GET /api/cron`: every function that runs by the clock, in UTC."""
    async with request.state["database"].connect() as connection:
        now = await cron_runs.read_clock(connection)
        latest = await cron_runs.latest(connection)
    entries = [
        EntryView.of(each, now, latest.get(each.name)).model_dump()
        for each in request.state["timetable"]
    ]
    return json_answer({"functions": entries})


async def show_statistics(request: ApiRequest) -> Response:
    """`GET /api/statistics`: every tool that ever ran, as it was computed at `updated_at`.

    Counts and extremes are of all time, percentiles of the jobs kept: `percentiles_over_hours`.
    """
    async with request.state["database"].connect() as connection:
        tools = await statistics.list_all(connection)
    return json_answer(
        {
            "percentiles_over_hours": request.state["settings"].retention_hours,
            "tools": [asdict(each) for each in tools],
        }
    )
