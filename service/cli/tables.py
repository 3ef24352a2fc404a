"""Tools and jobs as tables, and JSON for those who read it by program."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.cli.answers import JobJson, ToolJson

STYLES = {
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "cancelled": "magenta",
}
"""The colour of each status that has one."""

_WIDE = 1_000
"""Columns a line may take where no terminal limits it."""


def print_json(content: object) -> None:
    """Write *content* to stdout as JSON that people can read too."""
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def print_tools(tools: Sequence[ToolJson]) -> None:
    """Print every tool in a line; a broken one says why it cannot be run."""
    table = _table("name", "title", "category")
    for tool in tools:
        if tool["broken"]:
            reason = f"!! {plain(tool['reason'] or 'cannot be run')}"
            table.add_row(plain(tool["name"]), Text(reason, style="red"), "")
        else:
            table.add_row(plain(tool["name"]), plain(tool["title"]), plain(tool["category"]))
    _print(table)


def print_tool(tool: ToolJson) -> None:
    """Print one tool with what it takes."""
    console = _console()
    console.print(Text(f"{plain(tool['name'])}: {plain(tool['title'])}", style="bold"))
    for line in tool["description"].splitlines():
        console.print(Text(plain(line)))
    if tool["broken"]:
        console.print(Text(f"!! cannot be run: {plain(tool['reason'] or '')}", style="red"))
    for note in tool["notes"]:
        console.print(Text(f"-- {plain(note)}"))
    schema = tool["parameters"]
    if not schema["properties"]:
        console.print(Text("It takes no parameters."))
        return
    table = _table("parameter", "type", "default", "required", "help")
    for name, shape in schema["properties"].items():
        default = json.dumps(shape["default"], ensure_ascii=False) if "default" in shape else ""
        required = "yes" if name in schema["required"] else ""
        about = plain(shape.get("description", shape.get("title", "")))
        table.add_row(plain(name), _type(shape), plain(default), required, about)
    console.print()
    _print(table)


def print_jobs(jobs: Sequence[JobJson]) -> None:
    """Print every job in a line."""
    table = _table("job", "tool", "status", "progress", "created", "duration")
    for job in jobs:
        table.add_row(
            job["job_id"],
            plain(job["tool_name"]),
            _status(job),
            "" if job["progress"] is None else f"{job['progress']:.0f} %",
            moment(job["created_at"]),
            duration(job["duration"]),
        )
    _print(table)


def print_job(job: JobJson) -> None:
    """Print all that is known of one job, a line each."""
    rows: list[tuple[str, str]] = [
        ("job", job["job_id"]),
        ("tool", job["tool_name"]),
        ("parameters", json.dumps(job["parameters"], ensure_ascii=False)),
        ("status", job["status"] + (f" ({job['reason']})" if job["reason"] else "")),
        ("message", job["message"] or ""),
        ("progress", "" if job["progress"] is None else f"{job['progress']:.0f} %"),
        ("", job["progress_message"] or ""),
        ("exit code", "" if job["return_code"] is None else str(job["return_code"])),
        ("attempt", f"{job['attempt']} of {job['max_attempts']}"),
        ("next attempt", moment(job["next_attempt_at"])),
        ("worker", job["worker"] or ""),
        ("created", moment(job["created_at"])),
        ("started", moment(job["started_at"])),
        ("ended", moment(job["completed_at"])),
        ("duration", duration(job["duration"])),
        ("files", ", ".join(job["output_files"])),
    ]
    table = Table.grid(padding=(0, 2))
    for topic, text in rows:
        if text:
            table.add_row(Text(topic, style="dim"), Text(plain(text)))
    _print(table)


def plain(text: str) -> str:
    """Return *text* with what could move a terminal's cursor, or worse, written as escapes."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def moment(iso: str | None) -> str:
    """Return a moment in local time; nothing for none."""
    if iso is None:
        return ""
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float | None) -> str:
    """Return how long something took, as people say it; nothing for nothing."""
    if seconds is None:
        return ""
    if seconds < 59.95:  # What would be rounded to a minute is one.
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _status(job: JobJson) -> Text:
    text = job["status"]
    if job["status"] == "queued" and job["next_attempt_at"] is not None:
        text = f"queued until {moment(job['next_attempt_at'])[11:]}"
    return Text(text, style=STYLES.get(job["status"], ""))


def _type(shape: Mapping[str, Any]) -> str:
    """Say in words what values a schema allows."""
    if "anyOf" in shape:
        return " or ".join(_type(each) for each in shape["anyOf"])
    if shape.get("type") == "array":
        return f"list of {_type(shape.get('items', {}))}"
    if "enum" in shape:
        return plain(" | ".join(str(choice) for choice in shape["enum"]))
    kind = str(shape.get("type", "anything"))
    low, high = shape.get("minimum"), shape.get("maximum")
    if low is None and high is None:
        return kind
    if high is None:
        return f"{kind} from {low}"
    return f"{kind} up to {high}" if low is None else f"{kind} from {low} to {high}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for place, column in enumerate(columns):
        # The first column is what gets copied.
        table.add_column(column, no_wrap=place == 0, overflow="fold")
    return table


def _console() -> Console:
    if sys.stdout.isatty():
        return Console(highlight=False, markup=False)
    return Console(highlight=False, markup=False, width=_WIDE)


def _print(table: Table) -> None:
    _console().print(table)
