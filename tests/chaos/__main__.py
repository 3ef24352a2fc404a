"""`python -m tests.chaos`: one run, its figures, and an exit code that says whether all held."""

import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from tests.chaos.driver import Size, run
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
    # A signal that ends the run ends it like an exception: nothing of it stays.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    figures = uvloop.run(run(plan, Size(workers=workers), console.print, keep=keep))
    if json_file is not None:
        json_file.write_text(json.dumps(figures.as_json(), indent=2) + "\n")
    figures.print_to(console)
    sys.exit(1 if figures.violations or figures.surprises else 0)


if __name__ == "__main__":
    app()
