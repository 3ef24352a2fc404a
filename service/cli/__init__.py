"""The `data20` command: the menu. What its commands do stands in the files beside this one.

Those files are imported when their command is called, so that `data20 --help` answers at once.
"""

import io
import sys
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from service.errors import Data20Error, UsageError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from service.config import Settings

_Result = TypeVar("_Result")

app = typer.Typer(
    name="data20",
    help="Run a team's tools as background jobs that are never lost.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
jobs_menu = typer.Typer(
    help="List jobs; with a command show, follow or cancel one.", invoke_without_command=True
)
app.add_typer(jobs_menu, name="jobs")
database = typer.Typer(help="The database's schema.", no_args_is_help=True)
app.add_typer(database, name="db")

Owner = Annotated[int | None, typer.Option("--owner", hidden=True)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
JobId = Annotated[str, typer.Argument(help="The job's id, or six or more of its characters.")]


def main() -> None:
    """Run the command; an error of ours is one line on stderr, its exit code in `exits.py`."""
    try:
        _settle_text()
        code: object = app(prog_name="data20", standalone_mode=False)
    except typer.TyperException as error:
        message = error.format_message()
        is_page = "\n" in message  # The help, for a command that needs another.
        _complain(message if is_page else f"data20: {message}")
        sys.exit(error.exit_code)
    except Data20Error as error:
        from service.cli.exits import exit_code_of

        _complain(f"data20: {error}")
        sys.exit(exit_code_of(error))
    sys.exit(code if isinstance(code, int) else 0)


def _settle_text() -> None:
    """Take only arguments that are text, and print whatever the locale cannot as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    for argument in sys.argv[1:]:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{argument!a} is not UTF-8 text") from None


def _complain(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201  # It is the command line.


@app.command()
def up(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
) -> None:
    """Start everything: servers unless configured, API and worker. Ctrl-C drains."""
    from service.cli.up import up as run
    from service.config import load_settings

    run(load_settings(host=host, port=port))


@app.command()
def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    owner: Owner = None,
    listener: Annotated[int | None, typer.Option("--listener", hidden=True)] = None,
) -> None:
    """Start the HTTP API alone."""
    from service.cli.processes import tie_to
    from service.cli.serve import serve_api
    from service.config import load_settings

    tie_to(owner)
    serve_api(load_settings(host=host, port=port), listener, is_alone=owner is None)


@app.command()
def worker(
    concurrency: Annotated[int | None, typer.Option(help="Jobs to run at a time.")] = None,
    queues: Annotated[
        str | None, typer.Option(help="Queues to serve, separated by commas, the first first.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name unlike any other worker's; %h is the host.")
    ] = None,
    owner: Owner = None,
    watched: Annotated[str | None, typer.Option("--watch", hidden=True)] = None,
) -> None:
    """Start a worker. SIGTERM or Ctrl-C drains it."""
    from service.cli.processes import tie_to
    from service.cli.serve import serve_worker
    from service.config import load_settings

    tie_to(owner)
    if watched:
        from service.cli.succession import watch

        sys.exit(watch([int(pid) for pid in watched.split(",")]))
    settings = load_settings(concurrency=concurrency, queues=queues, worker_name=name)
    serve_worker(settings, owner)


@app.command()
def tools(
    name: Annotated[str | None, typer.Argument(help="Show this one with its parameters.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """List what can be run, or show one tool."""
    from service.cli.run import show_tools

    _await(show_tools(_settings(), name, is_json=as_json))


@app.command(context_settings={"ignore_unknown_options": True})
def run(  # noqa: PLR0913  # One an option, as typer reads them.
    tool: Annotated[str, typer.Argument(help="Name of the tool.")],
    parameters: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Its parameters; repeat KEY for a list."),
    ] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay until it ends.")] = False,
    as_json: Json = False,
    priority: Annotated[int | None, typer.Option(help="1 is first, 10 is last.")] = None,
    queue: Annotated[str | None, typer.Option(help="Queue to wait in.")] = None,
    delay: Annotated[float | None, typer.Option(help="Seconds to wait before it starts.")] = None,
    at: Annotated[
        str | None, typer.Option(help="Moment to start at, local time unless it has an offset.")
    ] = None,
    retries: Annotated[int | None, typer.Option(help="Further attempts if it fails.")] = None,
    retry_delay: Annotated[
        float | None, typer.Option(help="Seconds between a failure and the next attempt.")
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="Seconds after which it is killed.")
    ] = None,
    soft_time_limit: Annotated[
        float | None, typer.Option(help="Seconds after which it is asked to stop.")
    ] = None,
) -> None:
    """Run a tool as a job.

    A parameter that is called like one of these options is given as KEY=VALUE, without dashes.
    """
    from service.cli.run import read_moment, run_tool

    options = {
        "priority": priority,
        "queue": queue,
        "delay": delay,
        "run_at": None if at is None else read_moment(at),
        "max_retries": retries,
        "retry_delay": retry_delay,
        "time_limit": time_limit,
        "soft_time_limit": soft_time_limit,
    }
    asking = run_tool(_settings(), tool, parameters or [], options, follows=follow, is_json=as_json)
    raise typer.Exit(_await(asking))


@jobs_menu.callback()
def jobs(
    ctx: typer.Context,
    status: Annotated[
        list[str] | None, typer.Option(help="Only jobs in this status; may be repeated.")
    ] = None,
    tool: Annotated[str | None, typer.Option(help="Only jobs of this tool.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most jobs to list.")] = 20,
    *,
    as_json: Json = False,
) -> None:
    """List jobs, the newest first; with a command show, follow or cancel one."""
    if ctx.invoked_subcommand is not None:
        return
    from service.cli.jobs import list_jobs

    _await(
        list_jobs(_settings(), statuses=status or [], tool_name=tool, limit=limit, is_json=as_json)
    )


@jobs_menu.command("show")
def jobs_show(job_id: JobId, *, as_json: Json = False) -> None:
    """Show all that is known of a job."""
    from service.cli.jobs import show_job

    _await(show_job(_settings(), job_id, is_json=as_json))


@jobs_menu.command("logs")
def jobs_logs(
    job_id: JobId,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay until it ends.")] = False,
) -> None:
    """Print what a job has printed."""
    from service.cli.jobs import show_logs

    raise typer.Exit(_await(show_logs(_settings(), job_id, follows=follow)))


@jobs_menu.command("cancel")
def jobs_cancel(
    job_id: JobId,
    *,
    terminate: Annotated[
        bool, typer.Option("--terminate", help="Kill at once instead of asking first.")
    ] = False,
) -> None:
    """Cancel a job, be it waiting or running."""
    from service.cli.jobs import cancel_job

    _await(cancel_job(_settings(), job_id, terminates=terminate))


@app.command()
def demo() -> None:
    """Run one real job through the whole system, then stop."""
    from service.cli.demo import demonstrate

    raise typer.Exit(demonstrate(_settings()))


@app.command()
def doctor() -> None:
    """Look at everything the service needs, and say what to do."""
    from service.cli.doctor import examine

    raise typer.Exit(_await(examine()))


@database.command("upgrade")
def db_upgrade() -> None:
    """Bring the schema to this version; safe to run twice, or twice at once."""
    from service.cli.serve import upgrade_schema
    from service.config import load_settings

    typer.echo(upgrade_schema(load_settings()))


def _settings() -> "Settings":
    from service.config import load_settings

    return load_settings()


def _await(answer: "Coroutine[Any, Any, _Result]") -> _Result:
    import asyncio

    return asyncio.run(answer)
