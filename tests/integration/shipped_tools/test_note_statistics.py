import csv
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.integration.shipped_tools.conftest import Run, RunTool, WriteNote

SVG = "{http://www.w3.org/2000/svg}"


def rows_of(run: Run, name: str) -> list[dict[str, Any]]:
    assert run.code == 0, run.stderr
    return list(csv.DictReader(run.text(name).splitlines()))


def test_each_note_has_a_row(run_tool: RunTool, write: WriteNote) -> None:
    write(
        "a/First.md",
        "---\ntitle: 'First, \"quoted\"'\ntags: [one, two]\ncreated: 2024-03-01T10:00:00Z\n---\n"
        "# Heading here\n\n" + "word " * 396 + "[[Second]] [[Second|other]] [[Nope]] #three\n",
    )
    write("Second.md", "Don't count `--this` as more than *seven* words.\n\n```\nnot this\n```")
    first = rows_of(run_tool("note_statistics"), "statistics.csv")[1]
    assert first == {
        "id": "a/First.md",
        "title": 'First, "quoted"',
        "created": "2024-03-01",
        "words": "402",
        "reading_minutes": "2.0",
        "headings": "1",
        "tags": "3",
        "links_out": "1",
        "links_in": "0",
        "broken_links": "1",
    }
    second = rows_of(run_tool("note_statistics"), "statistics.csv")[0]
    assert (second["id"], second["words"], second["links_in"]) == ("Second.md", "8", "1")


@pytest.mark.parametrize(("speed", "minutes"), [("200", "1.0"), ("100", "2.0")])
def test_reading_time_follows_the_readers_speed(
    speed: str, minutes: str, run_tool: RunTool, write: WriteNote
) -> None:
    write("x.md", "word " * 200)
    run = run_tool("note_statistics", "--words-per-minute", speed)
    assert rows_of(run, "statistics.csv")[0]["reading_minutes"] == minutes


def test_a_reader_who_does_not_read_is_a_usage_error(run_tool: RunTool) -> None:
    run = run_tool("note_statistics", "--words-per-minute", "0")
    assert run.code == 2
    assert "--words-per-minute must be 1 or more" in run.stderr


def test_tags_are_counted_once_a_note_the_most_used_first(
    run_tool: RunTool, write: WriteNote
) -> None:
    write("a.md", "---\ntags: Sea, star\n---\n#sea #2024 #nested/tag `#code` [x](#fragment) C#")
    write("b.md", "---\ntags:\n  - '#sea'\n---\n")
    tags = [(row["tag"], row["notes"]) for row in rows_of(run_tool("note_statistics"), "tags.csv")]
    assert tags == [("sea", "2"), ("nested/tag", "1"), ("star", "1")]


@pytest.mark.parametrize(
    "days",
    [
        [],
        ["2024-05-05"],
        ["2024-05-05", "2024-05-06"],
        ["2024-01-31", "2024-03-01"],
        ["2023-12-31", "2025-01-01"],
        ["1999-12-31", "2025-06-01"],
        ["0001-01-01", "9999-12-31"],
    ],
)
def test_the_chart_is_drawn_whatever_the_days(
    days: list[str], run_tool: RunTool, write: WriteNote
) -> None:
    for number, day in enumerate(days):
        write(f"{number}.md", f"---\ncreated: {day}\n---\n")
    write("undated.md", "")
    chart = ET.fromstring(run_tool("note_statistics").text("growth.svg"))  # noqa: S314  # Our own.
    labels = [element.text or "" for element in chart.iter(f"{SVG}text")]
    if not days:
        assert "No note says when it was created." in labels
        return
    assert {"notes", "day of creation", "0", str(len(days))} <= set(labels)
    dates = [label for label in labels if label[-2:].isdigit() and len(label) >= 4]
    assert 1 <= len(dates) <= 9
    curve = next(path for path in chart.iter(f"{SVG}path") if path.get("class") == "curve")
    assert (curve.get("d") or "").count("V") == len(days)


def test_the_summary_is_printed(run_tool: RunTool, write: WriteNote) -> None:
    write("Long.md", "---\ntags: [sea]\ncreated: 2024-03-01\n---\n" + "word " * 13_000)
    write("Short.md", "[[Long]]")
    output = run_tool("note_statistics").stdout
    assert "Notes           2\n" in output
    assert "Words           13,001, 6,500 a note\n" in output
    assert "Reading time    1 h 05 min\n" in output
    assert "Most used tags  #sea (1)\n" in output
    assert "Longest note    Long (13,000 words)\n" in output
    assert "Busiest month   2024-03 (1 note)\n" in output
