"""The `data20` command: the menu. What a command does stands in the file of its name.

Those files are imported when their command is called, so that `data20 --help` answers at once.
"""

import sys
from typing import Annotated

import typer

from service.errors import Data20Error

app = typer.Typer(
    name="data20",
    help="Run a team's tools as background jobs that are never lost.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
database = typer.Typer(help="The database's schema.", no_args_is_help=True)
app.add_typer(database, name="db")

Owner = Annotated[int | None, typer.Option("--owner", hidden=True)]


def main() -> None:
    """Run the command; an error of ours is one line on stderr and exit code 1."""
    try:
        app()
    except Data20Error as error:
        print(f"data20: {error}", file=sys.stderr)  # noqa: T201  # It is the command line.
        sys.exit(1)


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
) -> None:
    """Start a worker. SIGTERM or Ctrl-C drains it."""
    from service.cli.processes import tie_to
    from service.cli.serve import serve_worker
    from service.config import load_settings

    tie_to(owner)
    settings = load_settings(concurrency=concurrency, queues=queues, worker_name=name)
    serve_worker(settings, is_alone=owner is None)


@database.command("upgrade")
def db_upgrade() -> None:
    """Bring the schema to this version; safe to run twice, or twice at once."""
    from service.cli.serve import upgrade_schema
    from service.config import load_settings

    typer.echo(upgrade_schema(load_settings()))
