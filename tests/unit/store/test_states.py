from service.store.states import EDGES, FINAL, MOVES, WAITING, Move, Status


def test_every_move_has_its_line_in_the_table() -> None:
    assert set(MOVES) == set(Move)


def test_no_move_leaves_a_final_status() -> None:
    assert not any(source in FINAL for source, _ in EDGES)


def test_every_status_is_waiting_running_or_final() -> None:
    assert WAITING | FINAL | {Status.RUNNING} == set(Status)
    assert [status for status in Status if status.is_final] == [
        status for status in Status if status in FINAL
    ]


def test_every_status_but_the_first_can_be_reached() -> None:
    assert {target for _, target in EDGES} == set(Status) - {Status.PENDING}


def test_a_job_never_comes_back_to_pending() -> None:
    assert Status.PENDING not in {legal.target for legal in MOVES.values()}
