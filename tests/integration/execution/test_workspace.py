import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from service.execution.isolation import Isolation
from service.execution.workspace import (
    Workspace,
    create_workspace,
    find_workspaces,
    remove_workspace,
)
from tests.integration.execution.runs import ToolRun

JOB_ID = UUID("018f6f3e-0000-7000-8000-000000000001")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "workspaces", JOB_ID, 3)


def test_a_workspace_is_empty_and_ours_alone(workspace: Workspace) -> None:
    assert workspace.root.name == f"{JOB_ID}-3"
    for path in (workspace.root, workspace.work, workspace.tmp):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert list(workspace.work.iterdir()) == list(workspace.tmp.iterdir()) == []


def test_what_an_earlier_run_of_the_claim_left_is_gone(workspace: Workspace) -> None:
    (workspace.work / "old.txt").write_text("old")

    again = create_workspace(workspace.root.parent, JOB_ID, 3)

    assert list(again.work.iterdir()) == []


def test_workspaces_of_killed_workers_can_be_found(workspace: Workspace) -> None:
    folder = workspace.root.parent
    other = create_workspace(folder, uuid4(), 1)
    (folder / "notes").mkdir()

    assert set(find_workspaces(folder)) == {workspace, other}
    assert find_workspaces(folder / "none") == []


def _lock(folder: Path) -> None:
    inner = folder / "locked" / "inner"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    inner.chmod(0)
    inner.parent.chmod(0o500)


def _link_out(folder: Path) -> None:
    (folder / "out").symlink_to(folder.parents[2] / "precious", target_is_directory=True)
    (folder / "nowhere").symlink_to("nowhere")


def _leave_odd_files(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / os.fsdecode(b"\xff\n")).write_text("x")
    folder.chmod(0)


@pytest.mark.parametrize("damage", [_lock, _link_out, _leave_odd_files])
def test_a_workspace_is_removed_whatever_is_in_it(
    workspace: Workspace, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    damage(workspace.work)

    remove_workspace(workspace)

    assert list(workspace.root.parent.iterdir()) == []
    assert (precious / "file").read_text() == "x"


def test_no_workspace_is_too_deep_to_be_removed() -> None:
    """Deeper than a path may be long, and than Python may recurse.

    Should it stay, neither could pytest remove it, and every later run would fail.
    """
    name = tempfile.mkdtemp(prefix="data20-tests-")
    try:
        workspace = create_workspace(Path(name), JOB_ID, 1)
        here = os.open(workspace.work, os.O_RDONLY)
        for _ in range(1100):
            os.mkdir("deeper", dir_fd=here)
            below = os.open("deeper", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(here)

        remove_workspace(workspace)

        assert list(Path(name).iterdir()) == []
    finally:
        subprocess.run(["rm", "-rf", name], check=True)


def test_an_ordinary_user_removes_what_it_may_not_read() -> None:
    """Root may do everything, so this is tried as somebody else."""
    if os.geteuid() != 0:
        pytest.skip("Told by the other tests when they are not run as root")
    script = (
        "import os, sys; from pathlib import Path\n"
        "from service.execution.workspace import find_workspaces, remove_workspace\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "remove_workspace(find_workspaces(Path(sys.argv[1]))[0])\n"
    )
    with tempfile.TemporaryDirectory(prefix="data20-tests-") as name:
        workspace = create_workspace(Path(name), JOB_ID, 1)
        _lock(workspace.work)
        for path in [Path(name), *Path(name).rglob("*")]:
            os.chown(path, 65534, 65534)

        subprocess.run([sys.executable, "-c", script, name], check=True)

        assert list(Path(name).iterdir()) == []


def test_removing_what_is_not_there_is_no_error(workspace: Workspace) -> None:
    remove_workspace(workspace)
    remove_workspace(workspace)


async def test_a_tool_works_in_its_workspace(isolation: Isolation, workspace: Workspace) -> None:
    tool = ToolRun("sh", "-c", "pwd; echo x > result.txt", isolation=isolation)
    tool.cwd = workspace.work

    await tool.run()

    assert tool.sink.texts == [str(workspace.work)]
    assert (workspace.work / "result.txt").read_text() == "x\n"
