"""One delivery, from claim to result: how a tool ends, and what its job is then."""

from datetime import UTC, datetime, timedelta

import pytest

from service.execution.stop import StopKind
from service.store import jobs, lookup
from service.store.states import Reason, Status
from tests.integration.jobs.worlds import ENDLESS, GATED, QUICK, MakeWorld, World
from tests.integration.store.making import SUCCESS
from tests.waiting import until

TALKATIVE = """
    import sys
    from pathlib import Path

    print("one", flush=True)
    print("::progress 50 half of it", flush=True)
    print("two", flush=True)
    print("careful", file=sys.stderr, flush=True)
    Path("inner").mkdir()
    Path("inner/table.csv").write_text("a,b")
    Path("report.html").write_text("<p>report")
"""


async def test_a_success_keeps_what_the_tool_said_and_left(world: World) -> None:
    world.add_tool("talkative", TALKATIVE)
    job = await world.submit("talkative")
    done = await world.run(job)
    assert (done.status, done.reason, done.message) == (Status.COMPLETED, None, None)
    assert (done.attempt, done.return_code, done.worker) == (1, 0, None)
    assert done.duration_seconds is not None
    assert done.started_at is not None
    assert done.completed_at is not None
    took = (done.completed_at - done.started_at).total_seconds()
    assert 0 < done.duration_seconds <= took
    detail = await world.detail(job)
    assert detail.result is not None
    assert (detail.result.output, detail.result.error) == ("one\ntwo\n", "careful\n")
    assert detail.artifact_names == ("inner/table.csv", "report.html")
    assert world.leftovers(job) == []


async def test_artifacts_can_be_opened_where_the_row_says(world: World) -> None:
    world.add_tool("talkative", TALKATIVE)
    job = await world.submit("talkative")
    await world.run(job)
    async with world.context.database.connect() as connection:
        table, report = await lookup.list_artifacts(connection, job.id)
    assert (table.media_type, report.media_type) == ("text/csv", "text/html")
    with world.context.artifacts.open(report.location) as file:
        assert file.read() == b"<p>report"


async def test_all_that_happens_has_a_number(world: World) -> None:
    """States, lines and progress share one sequence, and its last event is what the row says."""
    world.add_tool("talkative", TALKATIVE)
    job = await world.submit("talkative")
    done = await world.run(job)
    found = await world.events(job)
    assert [event.data["move"] for event in found[:2]] == ["create", "claim"]
    assert {event.kind for event in found[2:-1]} == {"log", "progress"}
    assert [event.data for event in found if event.kind == "progress"] == [
        {"progress": 50.0, "message": "half of it"}
    ]
    assert sorted(await world.lines(job)) == ["careful", "one", "two"]
    assert found[-1].data["move"] == "complete"
    assert (found[-1].data["status"], found[-1].last_seq) == (done.status, done.last_seq)


async def test_a_failure_is_tried_again_later_and_in_the_end_final(world: World) -> None:
    world.add_tool("failing", "raise SystemExit('no luck')")
    job = await world.submit("failing", max_attempts=2, retry_delay_seconds=30.0)
    first = await world.run(job)
    assert (first.status, first.reason, first.attempt) == (Status.QUEUED, Reason.ERROR, 1)
    assert first.next_attempt_at is not None
    wait = first.next_attempt_at - datetime.now(UTC)
    assert timedelta(seconds=20) < wait <= timedelta(seconds=30)
    detail = await world.detail(job)
    assert detail.result is not None
    assert detail.result.error == "no luck\n"

    impatient = await world.submit("failing", max_attempts=2, retry_delay_seconds=0.0)
    await world.run(impatient)
    last = await world.run(impatient)
    assert (last.status, last.reason, last.attempt) == (Status.FAILED, Reason.ERROR, 2)
    assert (last.return_code, last.message) == (1, "Exit code 1")
    assert await world.states(impatient) == ["create", "claim", "retry", "claim", "fail"]
    assert world.leftovers(job) == []


@pytest.mark.parametrize(
    ("source", "status", "reason", "return_code"),
    [
        ("raise SystemExit(2)", Status.FAILED, Reason.USAGE, 2),
        ("import os; os.kill(os.getpid(), 6)", Status.QUEUED, Reason.SIGNAL, -6),
        ("import os; os.kill(os.getpid(), 9)", Status.QUEUED, Reason.SIGNAL, -9),
    ],
)
async def test_how_a_tool_ends_says_whether_it_is_tried_again(
    world: World, source: str, status: Status, reason: Reason, return_code: int
) -> None:
    """To refuse its arguments a second time would help nobody; a crash may be bad luck."""
    world.add_tool("ending", source)
    job = await world.run(await world.submit("ending"))
    assert (job.status, job.reason, job.return_code) == (status, reason, return_code)
    assert job.attempt == 1


@pytest.mark.parametrize(
    ("soft", "hard", "reason", "sent"),
    [
        (0.3, 60.0, Reason.SOFT_TIME_LIMIT, ["SIGTERM"]),
        (0.3, 0.3, Reason.HARD_TIME_LIMIT, ["SIGKILL"]),
    ],
)
async def test_a_limit_ends_the_job_for_good(
    world: World, soft: float, hard: float, reason: Reason, sent: list[str]
) -> None:
    world.add_tool("endless", ENDLESS)
    job = await world.submit("endless", soft_limit_seconds=soft, hard_limit_seconds=hard)
    ended = await world.run(job)
    assert (ended.status, ended.reason, ended.attempt) == (Status.FAILED, reason, 1)
    assert ended.message is not None
    assert f"limit of {soft:g} s" in ended.message
    signals = (await world.events(job))[-1].data["signals"]
    assert [each["name"] for each in signals] == sent
    assert world.leftovers(job) == []


async def test_a_tool_this_worker_does_not_have_is_named(world: World) -> None:
    """Another worker may have it: a deploy has several versions at work for a while."""
    job = await world.run(await world.submit("nowhere"))
    assert (job.status, job.reason, job.return_code) == (Status.QUEUED, Reason.ERROR, None)
    assert job.message == "On worker worker@tests: Tool nowhere not found"


async def test_a_tool_that_cannot_be_read_says_why(world: World) -> None:
    world.add_tool("broken", "def (:")
    job = await world.run(await world.submit("broken", max_attempts=1))
    assert (job.status, job.reason) == (Status.FAILED, Reason.ERROR)
    assert job.message is not None
    assert job.message.startswith("On worker worker@tests: Tool broken is broken: ")


@pytest.mark.parametrize(
    "parameters", [{"count": "three"}, {"gone": 1}, {"count": [1]}, {"count": {"deep": 1}}, {}]
)
async def test_parameters_that_no_longer_fit_their_tool_end_the_job(
    world: World, parameters: dict[str, object]
) -> None:
    """The tool's file may have changed since the job was accepted."""
    world.add_tool(
        "changed",
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--count", type=int, required=True)
        parser.parse_args()
        """,
    )
    job = await world.run(await world.submit("changed", parameters))
    assert (job.status, job.reason, job.return_code) == (Status.FAILED, Reason.USAGE, None)
    assert job.message is not None
    assert "Parameters of changed are not valid" in job.message
    assert world.leftovers(job) == []


async def test_without_room_for_a_workspace_the_job_is_tried_again(
    make_world: MakeWorld, world: World
) -> None:
    """The message is for clients: it does not tell them where our files are."""
    blocked = world.folder / "file"
    blocked.touch()
    other = await make_world(workspace_dir=blocked / "workspaces")
    world.add_tool("quick", QUICK)
    job = await other.run(await other.submit("quick"))
    assert (job.status, job.reason) == (Status.QUEUED, Reason.ERROR)
    assert job.message == "On worker worker@tests: no workspace: Not a directory"


async def test_without_room_for_its_files_the_job_still_ends_as_it_did(
    make_world: MakeWorld, world: World
) -> None:
    blocked = world.folder / "file"
    blocked.touch()
    other = await make_world(artifacts_dir=blocked / "artifacts")
    world.add_tool("talkative", TALKATIVE)
    job = await other.run(await other.submit("talkative"))
    assert job.status is Status.COMPLETED
    assert (await other.detail(job)).artifact_names == ()
    assert other.leftovers(job) == []


async def test_what_breaks_in_the_worker_ends_the_attempt(
    make_world: MakeWorld, world: World
) -> None:
    """No job stays as it is for ever, not even for a fault of ours."""
    broken = await make_world(workspace_dir=world.folder / "a\0b")
    world.add_tool("quick", QUICK)
    job = await broken.run(await broken.submit("quick", max_attempts=1))
    assert (job.status, job.reason) == (Status.FAILED, Reason.ERROR)
    assert job.message == "Worker worker@tests failed at this job; its log says why"
    assert broken.context.running == {}


async def test_a_cancel_that_nobody_here_heard_of_still_wins(world: World) -> None:
    """Who cancelled was told so, and it is the row that decides."""
    world.add_tool("gated", GATED)
    gate = world.folder / "gate"
    job = await world.submit("gated", {"gate": str(gate)})
    delivery = await world.begin(job)
    async with world.context.database.connect() as connection:
        await jobs.request_cancel(connection, job.id, terminates=False)
    gate.touch()
    await delivery
    ended = await world.detail(job)
    assert (ended.job.status, ended.job.reason) == (Status.CANCELLED, Reason.CANCELLED)
    assert ended.result is not None
    assert ended.result.output == "started\nended\n"
    assert ended.artifact_names == ("left.txt",)


async def test_an_end_whose_answer_got_lost_is_known_again(world: World) -> None:
    """What is stored under our fence is ours, and so are its files."""
    world.add_tool("gated", GATED.replace('print("ended", flush=True)', ""))
    gate = world.folder / "gate"
    job = await world.submit("gated", {"gate": str(gate)})
    delivery = await world.begin(job)
    async with world.context.database.connect() as connection:
        stored = await jobs.complete(connection, await world.read(job), SUCCESS)
    gate.touch()
    await delivery
    assert await world.read(job) == stored
    assert world.kept_files() == ["left.txt"]


async def test_a_worker_that_is_shut_down_hands_its_job_back_unharmed(world: World) -> None:
    world.add_tool("endless", ENDLESS)
    job = await world.submit("endless", max_attempts=1)
    delivery = await world.begin(job)
    world.context.stop_all(StopKind.RELEASE)
    await delivery
    released = await world.read(job)
    assert (released.status, released.reason) == (Status.QUEUED, Reason.SHUTDOWN)
    assert (released.attempt, released.fence, released.next_attempt_at) == (0, 1, None)
    assert await world.lines(job) == ["started", "asked to stop"]
    assert world.leftovers(job) == []


async def test_what_comes_while_draining_is_left_to_others(world: World) -> None:
    world.add_tool("quick", QUICK)
    job = await world.submit("quick")
    world.context.is_draining = True
    assert await world.run(job) == job
    world.context.is_draining = False
    assert (await world.run(job)).status is Status.COMPLETED
    await until(lambda: not world.leftovers(job), what="everything to be gone")
