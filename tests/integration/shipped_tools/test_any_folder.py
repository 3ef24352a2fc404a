import os
from pathlib import Path

import pytest

from tests.integration.shipped_tools.conftest import RunTool, WriteNote

OUTPUTS = {
    "build_graph": {"graph.json", "graph.html"},
    "check_links": {"links.json"},
    "build_index": {"index.json", "search.html"},
    "note_statistics": {"statistics.csv", "tags.csv", "growth.svg"},
}

every_tool = pytest.mark.parametrize("tool", OUTPUTS)


@every_tool
def test_a_missing_folder_is_a_usage_error_that_names_it(tool: str, run_tool: RunTool) -> None:
    run = run_tool(tool, "--knowledge", "no/such/folder")
    assert run.code == 2
    assert "there is no folder no/such/folder" in run.stderr
    assert "Traceback" not in run.stderr
    assert not list(run.folder.iterdir())


@every_tool
def test_an_output_folder_that_is_a_file_is_a_usage_error(
    tool: str, run_tool: RunTool, tmp_path: Path
) -> None:
    (tmp_path / "taken").touch()
    run = run_tool(tool, "--output", str(tmp_path / "taken"))
    assert run.code == 2
    assert "cannot write to" in run.stderr
    assert "Traceback" not in run.stderr


@every_tool
def test_an_empty_folder_gives_empty_results_and_says_so(tool: str, run_tool: RunTool) -> None:
    run = run_tool(tool)
    assert run.code == 0, run.stderr
    assert "holds no notes" in run.stderr
    assert {path.name for path in run.folder.iterdir()} == OUTPUTS[tool]


@every_tool
def test_the_files_go_to_the_output_folder_which_is_made(
    tool: str, run_tool: RunTool, write: WriteNote, tmp_path: Path
) -> None:
    write("One.md", "text")
    run = run_tool(tool, "--output", str(tmp_path / "new" / "place"))
    assert run.code == 0, run.stderr
    assert {path.name for path in (tmp_path / "new" / "place").iterdir()} == OUTPUTS[tool]
    assert not list(run.folder.iterdir())


@every_tool
def test_progress_grows_to_a_hundred(tool: str, run_tool: RunTool, write: WriteNote) -> None:
    for number in range(30):
        write(f"Note {number}.md", f"[[Note {number + 1}]]")
    percents = run_tool(tool).percents
    assert percents == sorted(percents)
    assert percents[0] == 0
    assert percents[-1] == 100
    assert len(percents) > 10


@every_tool
def test_notes_as_people_have_them_are_read_whatever_is_odd(
    tool: str, run_tool: RunTool, write: WriteNote, knowledge: Path
) -> None:
    write("no front matter.md", "Just text.")
    write("broken yaml.md", "---\ntitle: [unclosed\n---\nText.")
    write("deep yaml.md", "---\ntitle: " + "[" * 200_000 + "\n---\nText.")
    write("impossible date.md", "---\ncreated: 2024-13-45\ntags: 5\naliases: {a: b}\n---\nText.")
    write("a list.md", "---\n- only\n- a list\n---\nText.")
    write("latin 1.md", "Käse".encode("latin-1"))
    write("utf 16.md", "[[Über alles]]".encode("utf-16"))
    write("utf 8 with mark.md", b"\xef\xbb\xbf---\ntitle: Marked\n---\n")
    write("nul.md", b"\0\0\0 # \0")
    write("ordner/Über alles.markdown", "---\r\ntitle: Windows\r\n---\r\nText.\r\n")
    write("empty.md", "")
    write("long.md", "---\ntitle: Größtes\n---\n[[Niñgún sitio]]" + " word" * 100)
    write("picture.png", b"\x89PNG")
    write(".obsidian/hidden.md", "[[nowhere]]")
    (knowledge / "loop").symlink_to(knowledge, target_is_directory=True)
    Path(os.fsdecode(os.fsencode(knowledge) + b"/name \xff.md")).write_text("odd name")
    run = run_tool(tool, LC_ALL="C", PYTHONIOENCODING="ascii")
    assert run.code == 0, run.stderr
    assert "broken yaml.md: the front matter cannot be read: line " in run.stderr
    assert "deep yaml.md: the front matter cannot be read: longer than" in run.stderr
    assert "latin 1.md is not UTF-8" in run.stderr
    assert "Reading 13 notes" in run.stdout


@every_tool
def test_the_examples_that_ship_are_read_by_default(tool: str, run_tool: RunTool) -> None:
    here = Path(__file__).resolve().parents[3] / "examples" / "knowledge"
    run = run_tool(tool, "--knowledge", str(here))
    assert run.code == 0
    assert not run.stderr
    assert f"Reading {len(list(here.rglob('*.md')))} notes" in run.stdout


def test_a_note_that_cannot_be_read_is_left_out(
    run_tool: RunTool, write: WriteNote, knowledge: Path
) -> None:
    (knowledge / "gone.md").symlink_to("nowhere.md")
    write("here.md", "text")
    run = run_tool("check_links")
    assert run.code == 0
    assert "gone.md is left out: No such file or directory" in run.stderr
    assert run.json("links.json")["summary"]["notes"] == 1
