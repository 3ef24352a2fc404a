from datetime import datetime, timedelta

import pytest

from tests.system.cli.commands import complaint, data20, succeed, succeed_with_json
from tests.system.stacks import RunningStack


def test_run_prints_the_id_of_the_job_and_how_to_follow_it(stack: RunningStack) -> None:
    ended = data20(stack, "run", "speak", "lines=1")
    job_id = ended.stdout.strip()
    assert ended.returncode == 0
    assert f"follow it with `data20 jobs logs -f {job_id}`" in ended.stderr
    assert succeed_with_json(stack, "jobs", "show", job_id, "--json")["tool_name"] == "speak"


def test_run_as_json_prints_what_the_api_answers(stack: RunningStack) -> None:
    ended = data20(stack, "run", "speak", "--json")
    assert ended.stderr == ""
    answer = succeed_with_json(stack, "run", "speak", "--json")
    assert answer["tool_name"] == "speak"
    assert answer["status"] == "queued"


def test_parameters_reach_the_tool_in_their_types(stack: RunningStack) -> None:
    words = ["word=a b", "--word=--c", "--word", "d=e"]
    arguments = ["lines=2", "seconds=0", "loud=true", "--mood=sad", *words]
    job = succeed_with_json(stack, "run", "speak", *arguments, "--follow", "--json")
    assert job["parameters"] == {
        "lines": 2,
        "seconds": 0,
        "loud": True,
        "mood": "sad",
        "word": ["a b", "--c", "d=e"],
    }
    assert job["output"].splitlines() == ["OUT 1", "OUT 2", "sad: a b", "sad: --c", "sad: d=e"]


def test_following_writes_each_stream_where_it_belongs(stack: RunningStack) -> None:
    ended = data20(stack, "run", "speak", "lines=2", "-f")
    assert ended.returncode == 0
    assert ended.stdout == "out 1\nout 2\n"
    lines = ended.stderr.splitlines()
    assert [line for line in lines if not line.startswith("data20: ")] == ["err 1", "err 2"]
    assert lines[0].startswith("data20: job ")
    assert lines[-1].startswith("data20: completed after 0.")


def test_following_names_the_files_the_job_left(stack: RunningStack) -> None:
    ended = data20(stack, "run", "build_index", "-f")
    assert ended.returncode == 0
    assert "; files: index" in ended.stderr.splitlines()[-1]


def test_following_a_job_that_fails_ends_with_code_1_and_the_reason(stack: RunningStack) -> None:
    ended = data20(stack, "run", "speak", "code=3", "--follow")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith(": Exit code 3")


def test_following_as_json_keeps_stdout_for_the_job(stack: RunningStack) -> None:
    ended = data20(stack, "run", "speak", "code=3", "lines=1", "--follow", "--json")
    assert ended.returncode == 1
    assert ended.stdout.startswith("{")
    assert {"out 1", "err 1"} <= set(ended.stderr.splitlines())


def test_an_unknown_tool_is_refused(stack: RunningStack) -> None:
    assert complaint(stack, 4, "run", "nothing", "x=1") == "Tool nothing not found"


@pytest.mark.parametrize("name", ["..", "../jobs", "a/b", "?x", "#", "%2e", "a b", "ö"])
def test_a_name_no_tool_can_have_is_refused(stack: RunningStack, name: str) -> None:
    ended = data20(stack, "run", name)
    assert ended.returncode in {3, 4}
    assert ended.stderr.count("\n") == 1


def test_a_broken_tool_is_refused_with_the_reason(stack: RunningStack) -> None:
    said = complaint(stack, 4, "run", "unreadable", "x=1")
    assert said.startswith("Tool unreadable is broken: [tool.data20] queue must be one of tools")


def test_an_unknown_parameter_is_a_usage_error_that_names_the_known(stack: RunningStack) -> None:
    said = complaint(stack, 2, "run", "speak", "lins=3")
    assert said.startswith("The tool has no parameter lins; it takes lines, seconds, code, loud")


def test_a_value_that_does_not_fit_is_refused_by_the_api(stack: RunningStack) -> None:
    said = complaint(stack, 4, "run", "speak", "lines=many", "mood=angry")
    assert "lines must be a whole number" in said
    assert "mood must be one of" in said


def test_a_missing_parameter_is_refused_by_the_api(stack: RunningStack) -> None:
    assert complaint(stack, 4, "run", "mark") == "folder is required"


def test_nothing_that_was_refused_became_a_job(stack: RunningStack) -> None:
    before = succeed(stack, "jobs", "--tool", "mark")
    complaint(stack, 4, "run", "mark", "--follow")
    assert succeed(stack, "jobs", "--tool", "mark") == before


def test_what_the_options_say_stands_in_the_job(stack: RunningStack) -> None:
    limits = ["--time-limit", "20", "--soft-time-limit", "10"]
    order = ["--priority", "2", "--queue", "default", "--retries", "0", "--retry-delay", "1.5"]
    job = succeed_with_json(stack, "run", "speak", "lines=1", *limits, *order, "-f", "--json")
    assert (job["time_limit"], job["soft_time_limit"]) == (20, 10)
    assert (job["priority"], job["queue"], job["max_attempts"]) == (2, "default", 1)
    assert job["parameters"] == {"lines": 1}


def test_a_job_for_later_says_when_it_starts(stack: RunningStack) -> None:
    delayed = data20(stack, "run", "speak", "--delay", "3600")
    timed = data20(stack, "run", "speak", "--at", "2100-01-01T00:00")
    assert "queued until 20" in delayed.stderr
    assert timed.returncode == 4
    assert "run_at: must be at most a year ahead" in timed.stderr
    succeed(stack, "jobs", "cancel", delayed.stdout.strip())


def test_a_moment_without_an_offset_is_local_time(stack: RunningStack) -> None:
    soon = (datetime.now().astimezone() + timedelta(hours=2)).replace(microsecond=0)
    job_id = succeed(stack, "run", "speak", "--at", soon.replace(tzinfo=None).isoformat()).strip()
    job = succeed_with_json(stack, "jobs", "show", job_id, "--json")
    assert datetime.fromisoformat(job["next_attempt_at"]) == soon
    succeed(stack, "jobs", "cancel", job_id)


def test_a_moment_that_is_none_is_a_usage_error(stack: RunningStack) -> None:
    said = complaint(stack, 2, "run", "speak", "--at", "noon")
    assert said == "--at noon: give a moment like 2030-01-31T08:00"


def test_an_option_that_breaks_a_rule_is_refused_by_the_api(stack: RunningStack) -> None:
    said = complaint(stack, 4, "run", "speak", "--time-limit", "7200", "--queue", "other")
    assert "queue: " in said
    said = complaint(stack, 4, "run", "speak", "--time-limit", "7200")
    assert said == "time_limit: must be at most 3600 seconds, the limit of this service"
