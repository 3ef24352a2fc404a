import sys

from tests.system.cli.commands import data20, nothing_listens
from tests.system.stacks import CHECKOUT, RunningStack

OUR_TOOLS = str(CHECKOUT / "tools")


def marks(page: str) -> dict[str, str]:
    """Return the mark of each topic; one topic has the last of its lines' marks."""
    return {line[6:17].strip(): line[2:4] for line in page.splitlines()[1:]}


def test_the_doctor_finds_a_whole_service_well(stack: RunningStack) -> None:
    ended = data20(stack, "doctor", DATA20_TOOLS_DIR=OUR_TOOLS)
    assert ended.returncode == 0, ended.stdout
    topics = marks(ended.stdout)
    assert topics.pop("isolation") in {"ok", "--"}
    answered = ["api", "database", "schema", "broker", "workers"]
    assert topics == dict.fromkeys(["python", "settings", "tools", "data", *answered], "ok")


def test_the_doctor_names_what_starts_an_api(stack: RunningStack) -> None:
    with nothing_listens() as url:
        ended = data20(stack, "doctor", DATA20_URL=url, DATA20_TOOLS_DIR=OUR_TOOLS)
    assert ended.returncode == 1
    assert marks(ended.stdout)["api"] == "!!"
    assert "`data20 up` starts one" in ended.stdout


def test_the_doctor_names_a_broken_tool(stack: RunningStack) -> None:
    ended = data20(stack, "doctor")
    assert ended.returncode == 1
    assert "unreadable cannot be run: [tool.data20] queue must be" in ended.stdout


def test_the_doctor_names_a_missing_tools_folder(stack: RunningStack) -> None:
    ended = data20(stack, "doctor", DATA20_TOOLS_DIR=str(stack.folder / "nowhere"))
    assert ended.returncode == 1
    assert marks(ended.stdout)["tools"] == "!!"


def test_the_doctor_names_a_folder_that_cannot_hold_data(stack: RunningStack) -> None:
    var_dir = f"{sys.executable}/var"  # Below a file, and one that may be executed.
    ended = data20(stack, "doctor", DATA20_VAR_DIR=var_dir, DATA20_TOOLS_DIR=OUR_TOOLS)
    assert ended.returncode == 1
    assert marks(ended.stdout)["data"] == "!!"


def test_the_doctor_names_a_wrong_setting(stack: RunningStack) -> None:
    ended = data20(stack, "doctor", DATA20_PORT="high")
    assert ended.returncode == 1
    assert ended.stderr == ""
    assert marks(ended.stdout) == {"python": "ok", "settings": "!!"}
