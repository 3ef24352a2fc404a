"""How many rows come next, by what the last ones took."""

from service.jobs.pace import Pace


def pace() -> Pace:
    return Pace(100, most=1000, aim_seconds=0.025)


def test_quick_statements_grow_to_twice_as_many_at_most() -> None:
    each = pace()
    sizes: list[int] = []
    for _ in range(5):
        each.took(0.0001)
        sizes.append(each.rows)
    assert sizes == [200, 400, 800, 1000, 1000]


def test_a_slow_statement_is_followed_by_as_many_as_would_have_been_in_time() -> None:
    each = pace()
    each.took(0.1)
    assert each.rows == 25
    assert each.longest_seconds == 0.1


def test_there_is_always_one_left() -> None:
    each = pace()
    each.took(60.0)
    assert each.rows == 1
    each.took(0.001)
    assert each.rows == 2
