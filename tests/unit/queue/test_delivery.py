import pickle
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest
from arq.jobs import deserialize_job, serialize_job
from hypothesis import given
from hypothesis import strategies as st

from service.queue.delivery import Delivery, payload_key, read_call, score, to_json
from tests.unit.queue.making import job

moments = st.datetimes(
    datetime(2026, 1, 1), datetime(2051, 1, 1), timezones=st.just(UTC)  # noqa: DTZ001  # Hypothesis adds the zone.
)  # fmt: skip
priorities = st.integers(1, 10)


@given(first=moments, second=moments, priority=priorities)
def test_of_one_priority_the_first_to_come_goes_first(
    first: datetime, second: datetime, priority: int
) -> None:
    assert (score(priority, first) < score(priority, second)) == (first < second)


@given(urgent=moments, other=moments, priority=st.integers(1, 9))
def test_the_more_urgent_goes_first_whenever_it_came(
    urgent: datetime, other: datetime, priority: int
) -> None:
    assert score(priority, urgent) < score(priority + 1, other)


@given(moment=moments, priority=priorities)
def test_a_microsecond_is_not_lost_in_redis(moment: datetime, priority: int) -> None:
    """Redis keeps scores as doubles."""
    place = score(priority, moment)
    assert int(float(place)) == place
    assert float(place) < float(score(priority, moment + timedelta(microseconds=1)))


@given(moment=moments)
def test_another_programs_delivery_goes_before_all(moment: datetime) -> None:
    """Arq's own score is the moment in milliseconds; what it enqueues must not wait for ever."""
    stock = datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000
    assert stock < score(1, moment)


def test_the_id_names_the_claim_it_is_for() -> None:
    """What arq keeps of an earlier delivery cannot swallow a later one."""
    assert Delivery.of(job(fence=0)).id == f"{UUID(int=7)}:1"
    assert Delivery.of(job(fence=3)).id == f"{UUID(int=7)}:4"


def test_a_job_keeps_its_place_when_it_is_delivered_again() -> None:
    first, again = Delivery.of(job(fence=0)), Delivery.of(job(fence=1))
    assert (first.queue, first.score) == (again.queue, again.score)
    assert Delivery.of(job(queue="default")).queue == "default"


def test_arq_reads_what_a_delivery_says() -> None:
    before = time.time_ns() // 10**6
    read = deserialize_job(Delivery.of(job()).payload, deserializer=orjson.loads)
    assert (read.function, read.args, read.kwargs) == ("run_tool", [str(UUID(int=7))], {})
    assert read.job_try is None
    enqueued = read.enqueue_time.timestamp() * 1000
    assert before <= enqueued + 1
    assert enqueued <= time.time_ns() / 10**6 + 1


def test_what_arq_writes_as_json_is_read() -> None:
    payload = serialize_job("run_tool", ("x",), {"a": 1}, None, 0, serializer=to_json)
    call = read_call(payload)
    assert (call.function, call.args, call.kwargs) == ("run_tool", ["x"], {"a": 1})


def test_the_payload_is_kept_where_arq_keeps_it() -> None:
    assert payload_key("x:1") == "arq:job:x:1"


class Trap:
    """Runs code wherever it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return pytest.fail, ("Code from a payload was run",)


@pytest.mark.parametrize(
    "payload",
    [
        pickle.dumps({"t": None, "f": "run_tool", "a": (Trap(),), "k": {}, "et": 0}),
        serialize_job("run_tool", (Trap(),), {}, None, 0, serializer=pickle.dumps),
        b"",
        b"null",
        b"[]",
        b'"run_tool"',
        b"{}",
        b'{"f": "run_tool", "a": "x", "k": {}}',
        b'{"f": "run_tool", "a": [], "k": []}',
        b'{"f": null, "a": [], "k": {}}',
        b"\xff\xfe",
    ],
    ids=range(11),
)
def test_what_is_not_json_of_that_form_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="Call"):
        read_call(payload)
