import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.execution.progress import (
    Progress,
    find_unfinished_sequence,
    read_bar,
    read_line,
    take_sequences,
)

SEQUENCES = {
    "\x1b]9;4;1;42\x1b\\": Progress(42, None),
    "\x1b]9;4;1;42\x07": Progress(42, None),
    "\x1b]9;4;1;250\x07": Progress(100, None),
    "\x1b]9;4;2;10\x07": Progress(10, None),
    "\x1b]9;4;4;60\x07": Progress(60, None),
    "\x1b]9;4;3\x07": Progress(None, None),
    "\x1b]9;4;3;\x07": Progress(None, None),
    "\x1b]9;4;0;0\x07": Progress(None, None),
    "\x1b]9;4;0\x1b\\": Progress(None, None),
}


@pytest.mark.parametrize(("sequence", "progress"), SEQUENCES.items())
def test_a_terminal_progress_sequence_is_read_and_taken_out(
    sequence: str, progress: Progress
) -> None:
    assert take_sequences(f"before{sequence}after") == ("beforeafter", progress)


def test_of_several_sequences_the_last_counts() -> None:
    text = "\x1b]9;4;1;10\x07a\x1b]9;4;1;20\x07b"

    assert take_sequences(text) == ("ab", Progress(20, None))


@pytest.mark.parametrize("text", ["\x1b]0;title\x07", "\x1b[31mred\x1b[0m", "]9;4;1;50"])
def test_other_sequences_are_left_alone(text: str) -> None:
    assert take_sequences(text) == (text, None)


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_a_sequence_that_breaks_off_is_found_wherever_it_breaks(sequence: str) -> None:
    for length in range(1, len(sequence)):
        assert find_unfinished_sequence(f"text{sequence[:length]}") == 4
    assert find_unfinished_sequence(f"text{sequence}") == 4 + len(sequence)


@given(st.text())
def test_text_without_escapes_breaks_off_in_no_sequence(text: str) -> None:
    text = text.replace("\x1b", "")

    assert find_unfinished_sequence(text) == len(text)


@pytest.mark.parametrize(
    ("line", "progress"),
    [
        ("::progress 42 Reading notes", Progress(42, "Reading notes")),
        ("::progress 42", Progress(42, None)),
        ("::progress 42% half way", Progress(42, "half way")),
        ("::progress 12.5 x", Progress(12.5, "x")),
        ("::progress 1000", Progress(100, None)),
        ("::progress", None),
        ("::progress soon", None),
        ("::progress -5", None),
        ("::progress 5x", None),
        (" ::progress 5", None),
        ("progress 5", None),
    ],
)
def test_a_progress_line_says_how_far_and_what(line: str, progress: Progress | None) -> None:
    assert read_line(line) == progress


@pytest.mark.parametrize(
    ("text", "progress"),
    [
        (" 42%|████▏     | 42/100 [00:04<00:05,  9.9it/s]", Progress(42, None)),
        ("Loading:   7%|▋         | 7/100", Progress(7, "Loading")),
        ("Downloading ━━━━━━╸━━━━━ 63% 0:00:04", Progress(63, "Downloading")),
        ("\x1b[32mBuilding\x1b[0m  50.5%", Progress(50.5, "Building")),
        ("#########             42.3%", Progress(42.3, None)),
        ("999%", Progress(100, None)),
        ("1234%", None),
        ("3 of 7 files", None),
    ],
)
def test_a_bar_shows_its_percentage(text: str, progress: Progress | None) -> None:
    assert read_bar(text) == progress
