import tracemalloc

from service.execution.tail import TailKeeper


def _keep(*chunks: bytes, limit_bytes: int = 20) -> TailKeeper:
    keeper = TailKeeper(limit_bytes)
    for chunk in chunks:
        keeper.add(chunk)
    return keeper


def test_a_short_stream_is_kept_whole() -> None:
    tail = _keep(b"one\n", b"two\n").tail()

    assert (tail.text, tail.total_bytes, tail.is_cut) == ("one\ntwo\n", 8, False)


def test_a_stream_as_long_as_the_limit_is_kept_whole() -> None:
    assert not _keep(b"x" * 20).tail().is_cut


def test_a_long_stream_keeps_its_last_lines_and_says_what_is_missing() -> None:
    tail = _keep(*(b"line %d\n" % i for i in range(10, 20))).tail()

    assert tail.text == "[... 64 bytes left out ...]\nline 18\nline 19\n"
    assert (tail.total_bytes, tail.is_cut) == (80, True)


def test_the_middle_of_one_long_line_is_better_than_nothing() -> None:
    tail = _keep(b"x" * 1000 + b"\n").tail()

    assert tail.text == f"[... 981 bytes left out ...]\n{'x' * 19}\n"


def test_numbers_are_easy_to_read() -> None:
    assert _keep(b"x" * 1_234_587).tail().text.startswith("[... 1,234,567 bytes left out ...]\n")


def test_memory_stays_bounded() -> None:
    keeper = TailKeeper(1000)
    tracemalloc.start()
    try:
        for _ in range(100_000):
            keeper.add(b"x" * 100)
        held_bytes, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held_bytes < 10_000


def test_the_tail_reads_as_a_terminal_showed_it() -> None:
    data = b"::progress 5\n 1%|\r 2%|\n\x1b]9;4;1;50\x07\0nul \xff\n"

    assert _keep(data, limit_bytes=100).tail().text == " 2%|\nnul �\n"


def test_a_long_line_is_not_cut_into_pieces() -> None:
    assert _keep(b"x" * 50_000, limit_bytes=60_000).tail().text == "x" * 50_000
