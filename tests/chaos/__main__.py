"""`python -m tests.chaos`: one run, its figures, and an exit code that says whether all held."""

import asyncio
import json
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from tests.chaos.driver import Size, run
from tests.chaos.figures import Figures
from tests.chaos.plan import Fault, make_plan

app = typer.Typer(add_completion=False)


@app.command()
def main(
    *,
    jobs: Annotated[int, typer.Option(help="Jobs to post.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same plan.")] = 7,
    minutes: Annotated[float, typer.Option(help="Time in which jobs and faults come.")] = 0.75,
    each: Annotated[int, typer.Option(help="How often each kind of fault comes.")] = 5,
    without: Annotated[list[str] | None, typer.Option(help="A kind of fault to leave out.")] = None,
    workers: Annotated[int, typer.Option(help="Worker processes.")] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures.")] = None,
    keep: Annotated[Path | None, typer.Option(help="New folder for logs, ticks and data.")] = None,
    shows_plan: Annotated[bool, typer.Option("--plan", help="Print the faults, no more.")] = False,
) -> None:
    """Run the service, hurt it while it works, and see what it kept of its promises."""
    left_out = [Fault(name) for name in without or ()]
    plan = make_plan(seed, jobs=jobs, seconds=minutes * 60, each=each, without=left_out)
    if shows_plan:
        for step in plan.steps:
            typer.echo(f"{step.at_seconds:8.2f} s  {step.fault}, {step.target}, {step.seconds:.2f}")
        return
    console = Console(stderr=True)
    try:
        figures = uvloop.run(
            _until_told(run(plan, Size(workers=workers), console.print, keep=keep))
        )
    except asyncio.CancelledError:
        sys.exit("broken off")
    if json_file is not None:
        json_file.write_text(json.dumps(figures.as_json(), indent=2) + "\n")
    figures.print_to(console)
    sys.exit(1 if figures.violations or figures.surprises else 0)


async def _until_told(work: Coroutine[None, None, Figures]) -> Figures:
    """Do the work; a signal breaks it off as an exception would, and nothing of it stays."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


if __name__ == "__main__":
    app()
