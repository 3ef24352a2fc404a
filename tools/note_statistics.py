"""Count what is in the notes.

Words, reading time, tags and links of each note, and how their number grew.
"""
# /// script
# requires-python = ">=3.11"
# dependencies = ["pyyaml>=6"]
#
# [tool.data20]
# name = "statistics"  # A file of that name would hide Python's own module from its neighbours.
# title = "Count what is in the notes"
# category = "Knowledge"
#
# [tool.data20.parameters.knowledge]
# title = "Folder of notes"
#
# [tool.data20.parameters.words_per_minute]
# minimum = 1
# examples = [200, 250]
# ///

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from _notes.console import count, every_percent, make_output_folder, progress, speak_plainly
from _notes.growth import draw_growth
from _notes.markdown import count_words, plain_text
from _notes.network import Network, connect
from _notes.resolve import Outcome
from _notes.vault import EXAMPLES, read_vault


class Row(NamedTuple):
    """One note in `statistics.csv`."""

    id: str
    title: str
    created: str
    words: int
    reading_minutes: float
    headings: int
    tags: int
    links_out: int
    """Other notes it links to."""
    links_in: int
    """Other notes that link to it."""
    broken_links: int


def main(argv: Sequence[str] | None = None) -> int:
    """Write `statistics.csv`, `tags.csv` and `growth.svg`; give 0, or 2 on wrong usage."""
    parser = argparse.ArgumentParser(description="Count what is in the notes.")
    parser.add_argument(
        "--knowledge",
        type=Path,
        default=EXAMPLES,
        help="folder of Markdown notes (default: the examples that ship)",
    )
    parser.add_argument(
        "--output", type=Path, default=".", help="folder to write the files to (default: here)"
    )
    parser.add_argument(
        "--words-per-minute", type=int, default=200, help="how fast the reader reads"
    )
    args = parser.parse_args(argv)
    if args.words_per_minute < 1:
        parser.error("--words-per-minute must be 1 or more")
    speak_plainly()
    try:
        output = make_output_folder(args.output)
        vault = read_vault(args.knowledge, until_percent=50)
    except NotADirectoryError as error:
        parser.error(str(error))

    progress(50, "Following the links")
    network = connect(vault)
    rows = _count(network, args.words_per_minute)
    uses = Counter(tag for note in vault.notes for tag in note.tags)
    tags = sorted(uses.items(), key=lambda use: (-use[1], use[0]))

    progress(95, "Writing the tables and the chart")
    _write(output / "statistics.csv", Row._fields, rows)
    _write(output / "tags.csv", ("tag", "notes"), tags)
    days = [note.created for note in vault.notes if note.created is not None]
    title = f"{vault.root.resolve().name}: {count(len(days), 'note')}"
    (output / "growth.svg").write_text(draw_growth(days, title=title), encoding="utf-8")

    _print_summary(rows, tags, args.words_per_minute)
    progress(100, f"{count(len(rows), 'note')}, {count(sum(row.words for row in rows), 'word')}")
    return 0


def _count(network: Network, words_per_minute: int) -> list[Row]:
    links_out = Counter(source for source, _ in network.edges)
    links_in = Counter(target for _, target in network.edges)
    broken = Counter(
        problem.note.id
        for problem in network.problems
        if problem.resolution.outcome is Outcome.BROKEN
    )
    say = every_percent(len(network.notes), 60, 95, "Counted")
    rows: list[Row] = []
    for number, note in enumerate(network.notes):
        words = count_words(plain_text(note.prose))
        rows.append(
            Row(
                id=note.id,
                title=note.title,
                created=note.created.isoformat() if note.created else "",
                words=words,
                reading_minutes=round(words / words_per_minute, 1),
                headings=len(note.headings),
                tags=len(note.tags),
                links_out=links_out[number],
                links_in=links_in[number],
                broken_links=broken[note.id],
            )
        )
        say(number + 1)
    return rows


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _print_summary(rows: list[Row], tags: list[tuple[str, int]], words_per_minute: int) -> None:
    words = sum(row.words for row in rows)
    notes = max(1, len(rows))
    links = sum(row.links_out for row in rows)
    months = Counter(row.created[:7] for row in rows if row.created)
    facts = [
        ("Notes", f"{len(rows):,}"),
        ("Words", f"{words:,}, {words / notes:,.0f} a note"),
        ("Reading time", _duration(words / words_per_minute)),
        ("Links", f"{links:,}, {links / notes:.1f} a note"),
        ("Not linked", f"{sum(not (row.links_out or row.links_in) for row in rows):,}"),
        ("Broken links", f"{sum(row.broken_links for row in rows):,}"),
        ("Tags", f"{len(tags):,}"),
    ]
    if tags:
        most_used = ", ".join(f"#{tag} ({number})" for tag, number in tags[:5])
        facts.append(("Most used tags", most_used))
    if rows:
        longest = max(rows, key=lambda row: row.words)
        facts.append(("Longest note", f"{longest.title} ({count(longest.words, 'word')})"))
    if months:
        month, number = max(months.items(), key=lambda item: item[1])
        facts.append(("Busiest month", f"{month} ({count(number, 'note')})"))
    width = max(len(name) for name, _ in facts)
    print()
    for name, value in facts:
        print(f"{name:<{width}}  {value}")


def _duration(minutes: float) -> str:
    hours, rest = divmod(round(minutes), 60)
    return f"{hours:,} h {rest:02} min" if hours else f"{rest} min"


if __name__ == "__main__":
    sys.exit(main())
