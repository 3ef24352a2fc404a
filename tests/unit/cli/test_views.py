import io
from collections.abc import Iterable

import pytest
from rich.console import Console

from service.cli.follow import Line, Update
from service.cli.tables import duration, plain
from service.cli.views import LiveView, PlainView


class Terminal(io.StringIO):
    """A terminal that remembers what was written to it."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


def update(
    *texts: str, status: str = "running", stream: str = "stdout", progress: float | None = None
) -> Update:
    return Update(status, progress, None, tuple(Line(stream, text) for text in texts))


def shown(updates: Iterable[Update]) -> str:
    """Return what a live view writes to a terminal with colours."""
    screen = Terminal()
    console = Console(file=screen, force_terminal=True, color_system="standard", width=100)
    with LiveView(console) as view:
        for each in updates:
            view.show(each)
    return screen.getvalue()


HOSTILE = [
    "\x1b]52;c;ZWNobw==\x07",
    "\x1b]0;title\x1b\\",
    "\x1b]0;never closed",
    "\x1b[2J",
    "\x1b[10;10H",
    "\x1bc",
    "\x9b2J",
    "\x07",
    "\r",
    "\x08",
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_line_on_a_terminal_can_do_nothing_but_colour(text: str) -> None:
    screen = Terminal()
    PlainView(screen, screen).write([Line("stdout", f"before{text}")])
    assert screen.getvalue().startswith("before")
    assert not set(screen.getvalue()) & set("\x1b\x9b\x07\r\x08")


def test_a_line_on_a_terminal_keeps_its_colours() -> None:
    assert "\x1b[31mred\x1b[0m" in shown([update("\x1b[31mred\x1b[0m")])


def test_a_long_line_is_not_broken_on_a_terminal() -> None:
    assert "long " * 100 in shown([update("long " * 100)])


def test_brackets_in_a_line_are_shown_as_they_are() -> None:
    assert "[bold]not bold[/bold]" in shown([update("[bold]not bold[/bold]")])


def test_brackets_in_a_progress_message_are_shown_as_they_are() -> None:
    assert "[/nothing]" in shown([Update("running", 10, "[/nothing]", ())])


def test_the_bar_shows_how_far_the_tool_says_it_is() -> None:
    assert "42 %" in shown([update(progress=42)])


def test_without_a_terminal_a_line_stays_as_it_is() -> None:
    out, err = io.StringIO(), io.StringIO()
    view = PlainView(out, err)
    view.write([Line("stdout", text) for text in HOSTILE])
    view.write([Line("stderr", "\x1b[31mred")])
    assert out.getvalue() == "".join(f"{text}\n" for text in HOSTILE)
    assert err.getvalue() == "\x1b[31mred\n"


def test_without_a_terminal_each_status_is_told_once() -> None:
    out, err = io.StringIO(), io.StringIO()
    with PlainView(out, err) as view:
        for status in ("queued", "queued", "running", "running", "queued", "completed"):
            view.show(update(status=status))
    assert out.getvalue() == ""
    assert err.getvalue().split("data20: ")[1:] == ["queued\n", "running\n", "queued\n"]


def test_text_in_a_table_cannot_leave_its_cell() -> None:
    assert plain("a\x1b[2Jb\nc\u202ed\x9b") == r"a\x1b[2Jb\nc\u202ed\x9b"
    assert plain("Ärger 日本 ✓") == "Ärger 日本 ✓"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (60, "1 min 0 s"),
        (3599.4, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (90061, "25 h 1 min"),
    ],
)
def test_durations_are_told_as_people_say_them(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
