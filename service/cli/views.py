"""How a followed job is shown: live on a terminal, as plain lines elsewhere."""

import re
import sys
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from service.cli.follow import Line, Update
from service.cli.tables import STYLES, plain
from service.store.states import Status

_CONTROLS = re.compile(
    r"(?P<colour>\x1b\[[0-9;]*m)"
    r"|\x1b\].*?(?:\x07|\x1b\\|$)"  # Titles, links, the clipboard.
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # The cursor and the screen.
    r"|[\x00-\x08\x0a-\x1f\x7f-\x9f]"
)
"""Control sequences and characters (ECMA-48), of which only colours are let through."""


class View(Protocol):
    """Shows updates of one job while it is entered."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the screen as it is."""
        ...

    def show(self, update: Update) -> None:
        """Show what is new."""
        ...

    def say(self, text: str) -> None:
        """Show a sentence of our own."""
        ...


_STEP_PERCENT = 10.0
"""How much further a job must be before plain lines say so."""


class PlainView:
    """The tool's lines on the stream they came from; status changes and progress on stderr."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self._writers = {"stdout": _writer(out), "stderr": _writer(err)}
        self._status = ""
        self._percent = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._out.flush()

    def show(self, update: Update) -> None:
        """Write the lines, each to its stream, and the status when it changed."""
        self.write(update.lines)
        if update.status != self._status and not Status(update.status).is_final:
            self.say(update.status)  # How it ended is told by whoever watches.
        self._status = update.status
        if update.progress is not None and update.progress >= self._percent + _STEP_PERCENT:
            self._percent = update.progress
            self.say(f"{update.progress:.0f} % {plain(update.progress_message or '')}".rstrip())

    def write(self, lines: Iterable[Line]) -> None:
        """Write the lines, each to its stream."""
        for line in lines:
            self._writers[line.stream](line)
        self._out.flush()
        self._err.flush()

    def say(self, text: str) -> None:
        """Write to stderr, marked as ours."""
        self._err.write(f"data20: {text}\n")
        self._err.flush()


class LiveView:
    """The tool's lines as they scroll by, and below them a bar that stays."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.fields[status]}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
        )
        self._task = self._progress.add_task("", total=None, status="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, update: Update) -> None:
        """Print the lines above the bar, and move it."""
        for line in update.lines:
            self._console.print(_coloured(line), soft_wrap=True)
        known = update.progress is not None
        self._progress.update(
            self._task,
            total=100 if known else None,
            completed=update.progress or 0,
            description=escape(plain(update.progress_message or "")),
            status=Text(update.status, style=STYLES.get(update.status, "")).markup,
        )

    def say(self, text: str) -> None:
        """Print above the bar, in another voice than the tool's."""
        self._console.print(Text(text, style="dim"))


def choose_view(*, is_json: bool) -> View:
    """Return the view for where the command writes; with *is_json* stdout stays free."""
    if is_json:
        return PlainView(sys.stderr, sys.stderr)
    if sys.stdout.isatty() and sys.stderr.isatty():
        return LiveView(Console(highlight=False))
    return PlainView(sys.stdout, sys.stderr)


def _writer(stream: TextIO) -> Callable[[Line], object]:
    """Return what writes a line to *stream*: unchanged, or made harmless for a terminal."""
    if not stream.isatty():
        return lambda line: stream.write(f"{line.text}\n")
    console = Console(file=stream, highlight=False)
    return lambda line: console.print(_coloured(line), soft_wrap=True)


def _coloured(line: Line) -> Text:
    """Keep a line's colours; what else it could make a terminal do is left out."""
    text = Text.from_ansi(_CONTROLS.sub(lambda match: match["colour"] or "", line.text))
    if line.stream == "stderr":
        text.stylize("yellow")
    return text
