from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

from service.store.ids import new_id


def test_ids_are_uuids_of_version_7() -> None:
    made = new_id()
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"


def test_ids_tell_when_they_were_made() -> None:
    before = datetime.now(UTC).timestamp()
    milliseconds = new_id().int >> 80
    # The counter may run ahead of the clock when many are made at once.
    assert abs(milliseconds / 1000 - before) < 60


def test_ids_grow_and_never_repeat() -> None:
    made = [new_id() for _ in range(20_000)]
    assert made == sorted(set(made))


def test_ids_do_not_repeat_among_threads() -> None:
    def make(_: int) -> list[UUID]:
        return [new_id() for _ in range(2_000)]

    with ThreadPoolExecutor(8) as pool:
        made = [each for batch in pool.map(make, range(8)) for each in batch]
    assert len(set(made)) == len(made)
