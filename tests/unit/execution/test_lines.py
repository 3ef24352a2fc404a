from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.execution.lines import CUT_MARK, LINE_LIMIT, LineReader
from service.execution.progress import Progress


def _read(*chunks: bytes) -> tuple[list[str], list[Progress]]:
    """Read the chunks to their end; lines and progress in their order."""
    reader = LineReader()
    said = [*map(reader.feed, chunks), reader.finish()]
    lines = [line for part in said for line in part.lines]
    return lines, [part.progress for part in said if part.progress is not None]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"windows\r\nlines\r\n", ["windows", "lines"]),
        (b"nul\0byte\0\n", ["nulbyte"]),
        (b"\xff\xfe\n", ["��"]),
        ("grün ✓\n".encode(), ["grün ✓"]),
        (b"\xe2\x9c", ["�"]),
        (b"first\rsecond\n", ["second"]),
        (b"bar\r      \rtext\n", ["text"]),
        (b"bar\r   ", []),
        (b"\x1b[31mred\x1b[0m\n", ["\x1b[31mred\x1b[0m"]),
        (b"\x1b]9;4;1;50\x07\n", []),
        (b"\x1b]9;4;1;50\x07text\n", ["text"]),
        (b"::progress 5 x\nline\n", ["line"]),
        (b"::progress nonsense\n", ["::progress nonsense"]),
    ],
)
def test_bytes_become_the_lines_a_terminal_would_show(data: bytes, lines: list[str]) -> None:
    assert _read(data)[0] == lines
    assert _read(*(bytes([byte]) for byte in data))[0] == lines


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6))
def test_where_chunks_end_makes_no_difference(data: bytes, cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(data)]
    chunks = [data[start:end] for start, end in pairwise(ends)]

    assert _read(*chunks)[0] == _read(data)[0]


PIECES = ["\n", "\r", "x", "\x1b[0m", "\x1b]9;4;1;50\x07", "\x1b]9;4;3\x1b\\", "::progress 1"]


@given(st.lists(st.sampled_from(PIECES)))
def test_where_chunks_end_makes_no_difference_to_progress(pieces: list[str]) -> None:
    data = "".join(pieces).encode()

    lines, progress = _read(*(bytes([byte]) for byte in data))

    assert lines == _read(data)[0]
    assert progress[-1:] == _read(data)[1][-1:]


def test_a_long_line_goes_on_in_pieces_that_say_so() -> None:
    data = b"a" * LINE_LIMIT + b"b" * LINE_LIMIT + b"c\n"
    expected = ["a" * LINE_LIMIT + CUT_MARK, "b" * LINE_LIMIT + CUT_MARK, "c"]

    assert _read(data)[0] == expected
    assert (
        _read(*(data[start : start + 1000] for start in range(0, len(data), 1000)))[0] == expected
    )


def test_a_line_at_the_limit_is_whole() -> None:
    assert _read(b"a" * LINE_LIMIT + b"\n")[0] == ["a" * LINE_LIMIT]


def test_an_endless_line_is_not_kept() -> None:
    reader = LineReader()
    for _ in range(100):
        reader.feed(b"x" * 100_000)
        assert len(reader.pending) <= LINE_LIMIT


def test_a_bar_is_progress_while_it_is_drawn() -> None:
    """As tqdm does, it begins each drawing with a carriage return; the last stays open."""
    reader = LineReader()

    assert reader.feed("\r 10%|█   | 1/10".encode()).progress == Progress(10, None)
    assert reader.feed("\r 20%|██  | 2/10".encode()).progress == Progress(20, None)
    said = reader.feed(b"\n")
    assert said.lines == [" 20%|██  | 2/10"]


def test_a_bar_that_ends_its_drawings_with_a_return_is_progress_too() -> None:
    reader = LineReader()

    assert reader.feed(b"10% done\r20% done\r").progress == Progress(20, None)
    assert reader.feed(b"30% done\n").lines == ["30% done"]


def test_a_percentage_in_a_plain_line_is_no_progress() -> None:
    assert _read(b"coverage: 42%\r\nok 7%\n")[1] == []
    assert _read(b"coverage: 42%\r", b"\n")[1] == []


def test_progress_is_told_before_its_line_ends() -> None:
    assert LineReader().feed(b"working \x1b]9;4;1;50\x07").progress == Progress(50, None)
