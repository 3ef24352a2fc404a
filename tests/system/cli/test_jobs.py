import pytest

from tests.system.cli.commands import complaint, data20, succeed, succeed_with_json
from tests.system.stacks import RunningStack


@pytest.fixture(scope="session")
def spoken(stack: RunningStack) -> str:
    """Give the id of a job that has ended, after another one that failed."""
    failed = data20(stack, "run", "speak", "code=1", "-f", "--json")
    assert failed.returncode == 1
    return succeed_with_json(stack, "run", "speak", "lines=2", "-f", "--json")["job_id"]


def test_jobs_are_listed_with_whole_ids_newest_first(stack: RunningStack, spoken: str) -> None:
    first = succeed(stack, "run", "speak").strip()
    second = succeed(stack, "run", "speak").strip()
    rows = [line.split() for line in succeed(stack, "jobs").splitlines()]
    assert rows[0] == ["job", "tool", "status", "progress", "created", "duration"]
    ids = [row[0] for row in rows]
    assert ids.index(second) < ids.index(first) < ids.index(spoken)
    assert rows[ids.index(spoken)][1:3] == ["speak", "completed"]


def test_jobs_can_be_picked_by_status_and_tool(stack: RunningStack, spoken: str) -> None:
    command = ["jobs", "--tool", "speak", "--status", "failed", "--limit", "500", "--json"]
    failed = succeed_with_json(stack, *command)["jobs"]
    assert failed
    assert {(job["tool_name"], job["status"]) for job in failed} == {("speak", "failed")}
    both = succeed_with_json(stack, *command, "--status", "completed")["jobs"]
    assert {job["status"] for job in both} == {"failed", "completed"}
    assert spoken in {job["job_id"] for job in both}


def test_as_many_jobs_are_listed_as_asked_for(stack: RunningStack, spoken: str) -> None:
    everything = succeed_with_json(stack, "jobs", "--limit", "10000", "--json")
    assert everything["next_cursor"] is None
    one = succeed_with_json(stack, "jobs", "--limit", "1", "--json")
    assert [job["job_id"] for job in one["jobs"]] == [everything["jobs"][0]["job_id"]]
    assert one["next_cursor"] is not None
    assert spoken in {job["job_id"] for job in everything["jobs"]}


def test_a_job_is_shown_with_all_that_is_known(stack: RunningStack, spoken: str) -> None:
    lines = succeed(stack, "jobs", "show", spoken).splitlines()
    page = {line[:10].strip(): line[10:].strip() for line in lines}
    assert page["job"] == spoken
    assert page["parameters"] == '{"lines": 2}'
    assert page["status"] == "completed"
    assert page["attempt"] == "1 of 1"
    assert page["duration"].endswith(" s")
    shown = succeed_with_json(stack, "jobs", "show", spoken, "--json")
    assert shown["job_id"] == spoken
    assert shown["output"] == "out 1\nout 2\n"


@pytest.mark.parametrize("part", [slice(-12, None), slice(-6, None), slice(0, 35)])
def test_a_part_of_an_id_is_enough(stack: RunningStack, spoken: str, part: slice) -> None:
    assert spoken in succeed(stack, "jobs", "show", spoken[part])


def test_an_id_in_capitals_is_the_same_id(stack: RunningStack, spoken: str) -> None:
    assert spoken in succeed(stack, "jobs", "show", spoken.upper())


def test_a_part_that_fits_several_jobs_is_a_usage_error(stack: RunningStack, spoken: str) -> None:
    said = complaint(stack, 2, "jobs", "show", spoken[:6])
    assert said.startswith(f"{spoken[:6]} fits ")


@pytest.mark.parametrize("job_id", ["short", "nothex-nothex", "ab12", "../tools"])
@pytest.mark.parametrize("command", ["show", "logs", "cancel"])
def test_what_is_no_id_is_a_usage_error(stack: RunningStack, command: str, job_id: str) -> None:
    said = complaint(stack, 2, "jobs", command, job_id)
    assert said == f"{job_id!r} is no job id; `data20 jobs` lists them"


@pytest.mark.parametrize("command", [["show"], ["logs"], ["logs", "-f"], ["cancel"]])
def test_an_unknown_id_is_refused(stack: RunningStack, command: list[str]) -> None:
    unknown = "01a20000-0000-7000-8000-000000000000"
    assert complaint(stack, 4, "jobs", *command, unknown) == f"Job {unknown} not found"
    said = complaint(stack, 4, "jobs", *command, "ffffffffffff")
    assert said.endswith("has an id that fits ffffffffffff")


def test_an_unknown_status_is_refused(stack: RunningStack) -> None:
    assert "'pending', 'queued', 'running'" in complaint(stack, 4, "jobs", "--status", "lost")


def test_logs_print_each_stream_where_it_belongs(stack: RunningStack, spoken: str) -> None:
    ended = data20(stack, "jobs", "logs", spoken)
    assert ended.stdout == "out 1\nout 2\n"
    assert ended.stderr == "err 1\nerr 2\n"


def test_a_running_job_can_be_cancelled(stack: RunningStack) -> None:
    job_id = succeed(stack, "run", "sleep", "seconds=60").strip()
    said = succeed(stack, "jobs", "cancel", job_id, "--terminate")
    assert said.startswith(f"Job {job_id} ")
    followed = data20(stack, "jobs", "logs", "-f", job_id)
    assert followed.returncode == 130
    assert "data20: cancelled" in followed.stderr
    assert complaint(stack, 4, "jobs", "cancel", job_id).endswith("is already cancelled")
