import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.errors import ToolBrokenError, ToolNotFoundError
from service.tools.catalog import Catalog
from service.tools.source import LARGEST_SOURCE
from tests.unit.tools.scripts import write_script

NOBODY = 65534
"""The user that owns nothing, on every Linux."""


@contextmanager
def as_ordinary_user() -> Generator[None]:
    """Be somebody whom modes bind, as root is not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def names(catalog: Catalog) -> list[str]:
    return [tool.name for tool in catalog.tools()]


def test_the_scripts_of_the_folder_are_the_tools(tmp_path: Path) -> None:
    for name in ("b", "a", "_shared", ".hidden", "x.y-z_9"):
        write_script(tmp_path, name, '"""Do it."""')
    (tmp_path / "notes.txt").write_text("no tool")
    (tmp_path / "inner").mkdir()
    write_script(tmp_path / "inner", "c", "")
    catalog = Catalog([tmp_path])
    assert names(catalog) == ["a", "b", "x.y-z_9"]
    assert catalog.get("a").command == (sys.executable, str(tmp_path / "a.py"))


def test_a_tool_is_never_run_by_being_found(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    write_script(tmp_path, "tool", f"open({str(trace)!r}, 'w')\nraise SystemExit(1)\n")
    catalog = Catalog([tmp_path])
    assert not catalog.get("tool").is_broken
    assert not trace.exists()


def test_the_first_folder_wins(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        write_script(folder, "tool", f'"""From {folder.name}."""')
    catalog = Catalog([first, second])
    assert [tool.title for tool in catalog.tools()] == ["From first"]
    assert catalog.notes == (f"{second / 'tool.py'} is shadowed by {first / 'tool.py'}",)


def test_a_tool_may_have_another_name_than_its_file(tmp_path: Path) -> None:
    """Of two that want one name, the first file counts; the other is noted."""
    named = '# /// script\n# [tool.data20]\n# name = "statistics"\n# ///\n'
    write_script(tmp_path, "first", named)
    write_script(tmp_path, "second", named)
    catalog = Catalog([tmp_path])
    assert names(catalog) == ["statistics"]
    assert catalog.get("statistics").path == tmp_path / "first.py"
    assert catalog.notes == (f"{tmp_path / 'second.py'} is shadowed by {tmp_path / 'first.py'}",)
    with pytest.raises(ToolNotFoundError):
        catalog.get("first")


def test_a_tool_cannot_call_itself_what_it_likes(tmp_path: Path) -> None:
    write_script(tmp_path, "tool", '# /// script\n# [tool.data20]\n# name = "../x"\n# ///\n')
    [tool] = Catalog([tmp_path]).tools()
    assert tool.name == "tool"
    assert tool.broken_reason is not None
    assert "[tool.data20] name" in tool.broken_reason


def test_a_missing_folder_is_noted_until_it_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "tools"
    catalog = Catalog([folder])
    assert catalog.tools() == ()
    assert catalog.notes == (
        f"The tools folder {folder} cannot be read: No such file or directory",
    )
    folder.mkdir()
    write_script(folder, "tool", "")
    assert catalog.refresh()
    assert names(catalog) == ["tool"]
    assert catalog.notes == ()


@pytest.mark.parametrize(
    "name",
    ["", "nothing", "../tool", "./tool", "tool.py", "/etc/passwd", "tool\0", "%2e%2e/tool", "TOOL"],
)
def test_a_name_that_is_no_tool_is_not_found(tmp_path: Path, name: str) -> None:
    write_script(tmp_path, "tool", "")
    with pytest.raises(ToolNotFoundError):
        Catalog([tmp_path]).get(name)


def write_bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "syntax": (write_bytes(b"def f(:\n"), "its Python is not valid: "),
    "latin": (write_bytes(b"# fine\n# \xe9\n"), "it is not UTF-8 (line 2)"),
    "null": (write_bytes(b"x = 1\0\n"), "its Python is not valid: "),
    "deep": (write_bytes(b"x = " + b"-" * 100_000 + b"1"), ""),
    "brackets": (write_bytes(b"(" * 100_000), "its Python is not valid: "),
    "chain": (write_bytes(b"import argparse\nx" + b".y()" * 5_000), "nested too deeply"),
    "huge": (write_bytes(b"#" * (LARGEST_SOURCE + 1)), "it is larger than 1024 KiB"),
    "pipe": (os.mkfifo, "it is not a regular file"),
    "directory": (lambda path: path.mkdir(), "it is not a regular file"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "No such file"),
    "loop": (lambda path: path.symlink_to(path.name), "symbolic link"),
    "outside": (lambda path: path.symlink_to(__file__), "it leads outside the tools folder"),
    "UPPER": (write_bytes(b""), "its name must be at most 64 small letters"),
    "with space": (write_bytes(b""), "its name must be at most 64 small letters"),
    "a" * 65: (write_bytes(b""), "its name must be at most 64 small letters"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_tool_is_listed_with_its_reason_and_stops_nobody(
    tmp_path: Path, name: str
) -> None:
    make, reason = BROKEN[name]
    make(tmp_path / f"{name}.py")
    write_script(tmp_path, "fine", "")
    catalog = Catalog([tmp_path])
    assert not catalog.get("fine").is_broken
    with pytest.raises(ToolBrokenError) as caught:
        catalog.get(name)
    assert reason in caught.value.reason
    described = next(tool for tool in catalog.tools() if tool.name == name).describe()
    assert described["broken"] is True
    assert described["reason"] == caught.value.reason


def test_a_file_that_may_not_be_read_is_broken() -> None:
    with tempfile.TemporaryDirectory() as name:  # Others may enter it, unlike `tmp_path`.
        folder = Path(name)
        folder.chmod(0o755)
        path = write_script(folder, "tool", "")
        path.chmod(0)
        with as_ordinary_user():
            catalog = Catalog([folder])
        with pytest.raises(ToolBrokenError, match="Permission denied"):
            catalog.get("tool")
        path.chmod(0o600)
        assert catalog.refresh()
        assert catalog.get("tool")


def test_a_name_that_is_not_text_is_listed_in_escapes(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff\x1b.py"))).write_text("")
    [tool] = Catalog([tmp_path]).tools()
    assert tool.name == r"bad\udcff\x1b"
    assert json.dumps(tool.describe(), ensure_ascii=False).encode()


def test_a_link_within_the_folder_is_a_tool(tmp_path: Path) -> None:
    write_script(tmp_path, "real", '"""Do it."""')
    (tmp_path / "alias.py").symlink_to("real.py")
    assert Catalog([tmp_path]).get("alias").title == "Do it"


def test_a_folder_behind_a_link_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    write_script(tmp_path / "real", "tool", "")
    (tmp_path / "link").symlink_to("real")
    assert not Catalog([tmp_path / "link"]).get("tool").is_broken


def test_what_changes_in_the_folder_shows_without_a_restart(tmp_path: Path) -> None:
    path = write_script(tmp_path, "tool", '"""Old."""')
    catalog = Catalog([tmp_path])
    write_script(tmp_path, "tool", '"""New."""')  # As long as the old one, and at once.
    assert catalog.refresh()
    assert catalog.get("tool").title == "New"
    write_script(tmp_path, "another", "")
    assert catalog.refresh()
    assert names(catalog) == ["another", "tool"]
    path.unlink()
    assert catalog.refresh()
    assert names(catalog) == ["another"]
    with pytest.raises(ToolNotFoundError):
        catalog.get("tool")


def test_a_file_changed_just_now_is_read_once_more(tmp_path: Path) -> None:
    """Times of files are coarse: what changes twice in some milliseconds may look unchanged."""
    changed_at = write_script(tmp_path, "tool", "").stat().st_mtime_ns
    now = changed_at + 1_000_000
    catalog = Catalog([tmp_path], clock=lambda: now)
    first = catalog.get("tool")
    catalog.refresh()
    second = catalog.get("tool")
    assert second is not first
    now += 1_000_000_000
    catalog.refresh()  # For the last time: whatever was written has its final time now.
    settled = catalog.get("tool")
    assert settled is not second
    catalog.refresh()
    assert catalog.get("tool") is settled


def test_a_replaced_file_of_the_same_age_and_size_is_read_again(tmp_path: Path) -> None:
    path = write_script(tmp_path, "tool", '"""Old."""')
    os.utime(path, (1_000_000, 1_000_000))
    catalog = Catalog([tmp_path])
    replacement = write_script(tmp_path, ".next", '"""New."""')
    os.utime(replacement, (1_000_000, 1_000_000))
    replacement.rename(path)
    assert catalog.refresh()
    assert catalog.get("tool").title == "New"


def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    path = write_script(tmp_path, "tool", "")
    os.utime(path, (1_000_000, 1_000_000))
    catalog = Catalog([tmp_path])
    before = catalog.get("tool")
    assert not catalog.refresh()
    assert catalog.get("tool") is before


def test_looking_again_at_fifty_tools_takes_about_a_millisecond(tmp_path: Path) -> None:
    for number in range(50):
        path = write_script(tmp_path, f"tool{number}", '"""Do it."""\nimport argparse\n' * 20)
        os.utime(path, (1_000_000, 1_000_000))
    catalog = Catalog([tmp_path])

    def look() -> float:
        start = time.perf_counter()
        catalog.refresh()
        return time.perf_counter() - start

    # The best of many: what it costs, not what else the machine does.
    assert min(look() for _ in range(50)) < 0.002


def test_what_clients_see_holds_no_path(tmp_path: Path) -> None:
    write_script(tmp_path, "tool", '"""Do it. Well."""')
    [tool] = Catalog([tmp_path]).tools()
    described = tool.describe()
    assert str(tmp_path) not in json.dumps(described)
    assert described == {
        "name": "tool",
        "title": "Do it",
        "description": "Well.",
        "category": "general",
        "parameters": {
            "type": "object",
            "properties": {},
            "required": [],
            "additionalProperties": False,
        },
        "queue": "tools",
        "soft_time_limit": None,
        "time_limit": None,
        "max_retries": None,
        "retry_delay": None,
        "priority": None,
        "workspace": "job",
        "broken": False,
        "reason": None,
        "notes": [],
        "file": "tool.py",
    }
