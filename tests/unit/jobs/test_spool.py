"""The format of an end on the disk."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.execution.sink import LogLine
from service.jobs.spool import End, decode, encode
from service.store.records import Ending, NewArtifact
from service.store.states import Move, Reason

END = End(
    job_id=uuid4(),
    fence=3,
    move=Move.FAIL,
    ending=Ending(
        reason=Reason.SIGNAL,
        message="Killed by signal 9 (SIGKILL)",
        return_code=-9,
        duration_seconds=1.25,
        output="half a wörd\n",
        output_bytes=13,
        error="\t",
        error_bytes=1,
        left_out_lines=7,
        artifacts=[NewArtifact("a/b.txt", "text/plain", 5, "ab" * 32, "job/3/a/b.txt")],
        facts={"signals": [{"name": "SIGKILL", "at": "2030-01-01T00:00:00+00:00"}]},
    ),
    last_seq=12,
    lines=(LogLine("stderr", "the last one", datetime(2030, 1, 1, 12, 30, 0, 123456, UTC)),),
)


def test_what_is_kept_is_read_as_it_was() -> None:
    assert decode(encode(END)) == END


@pytest.mark.parametrize("move", [Move.COMPLETE, Move.RETRY, Move.STOP, Move.RELEASE])
def test_every_end_can_be_kept(move: Move) -> None:
    end = replace(END, move=move, ending=replace(END.ending, reason=None, return_code=None))
    assert decode(encode(end)) == end


@given(st.text(), st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_that_a_tool_may_say_is_kept(message: str, said: str) -> None:
    """Half of a surrogate pair cannot come out of the decoder, nor go into PostgreSQL."""
    ending = replace(END.ending, output=said, message=message.encode(errors="replace").decode())
    assert decode(encode(replace(END, ending=ending))).ending == ending


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_that_was_cut_is_refused(share: float) -> None:
    data = encode(END)
    with pytest.raises(ValueError, match="End"):
        decode(data[: int(len(data) * share)])


@pytest.mark.parametrize("name", [field.name for field in fields(End) if field.name != "lines"])
def test_a_file_that_lacks_something_is_refused(name: str) -> None:
    content = json.loads(encode(END))
    del content[name]
    with pytest.raises(ValueError, match=name):
        decode(json.dumps(content).encode())
