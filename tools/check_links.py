"""Check the links between notes.

Names every link that leads nowhere, that could mean several notes, or whose heading is missing,
with its place and what may have been meant.
"""
# /// script
# requires-python = ">=3.11"
# dependencies = ["pyyaml>=6"]
#
# [tool.data20]
# title = "Check the links between notes"
# category = "Knowledge"
# max_retries = 0
#
# [tool.data20.parameters.knowledge]
# title = "Folder of notes"
# ///

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _notes.closest import ClosestNames
from _notes.console import count, make_output_folder, progress, speak_plainly
from _notes.network import Network, Problem, connect
from _notes.resolve import Outcome
from _notes.vault import EXAMPLES, Vault, read_vault

_MISSING_HEADING = "missing heading"
_KINDS = (str(Outcome.BROKEN), str(Outcome.AMBIGUOUS), _MISSING_HEADING)


def main(argv: Sequence[str] | None = None) -> int:
    """Check all links; give 0, or with `--strict` 1 when there are problems, 2 on wrong usage."""
    parser = argparse.ArgumentParser(description="Check the links between notes.")
    parser.add_argument(
        "--knowledge",
        type=Path,
        default=EXAMPLES,
        help="folder of Markdown notes (default: the examples that ship)",
    )
    parser.add_argument(
        "--output", type=Path, default=".", help="folder to write links.json to (default: here)"
    )
    parser.add_argument("--strict", action="store_true", help="end with code 1 when links are bad")
    args = parser.parse_args(argv)
    speak_plainly()
    try:
        output = make_output_folder(args.output)
        vault = read_vault(args.knowledge, until_percent=70)
    except NotADirectoryError as error:
        parser.error(str(error))
    progress(70, "Following the links")
    network = connect(vault)
    progress(80, "Looking for what was meant")
    report = _report(vault, network)
    (output / "links.json").write_text(
        json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    _print(report)
    progress(100, "Done")
    return 1 if args.strict and network.problems else 0


def _report(vault: Vault, network: Network) -> dict[str, Any]:
    """Give `links.json`: a summary, and the problems in the order of their places."""
    names = ClosestNames(
        [note.name for note in vault.notes]
        + [alias for note in vault.notes for alias in note.aliases]
        + [Path(path).name for path in vault.files]
    )
    problems = [_describe(problem, names) for problem in network.problems]
    kinds = Counter(problem["kind"] for problem in problems)
    return {
        "summary": {
            "notes": len(vault.notes),
            "links": network.links,
            "broken": kinds[Outcome.BROKEN],
            "ambiguous": kinds[Outcome.AMBIGUOUS],
            "missing_headings": kinds[_MISSING_HEADING],
        },
        "problems": problems,
    }


def _describe(problem: Problem, names: ClosestNames) -> dict[str, Any]:
    """Give one problem; `meant` are the names, paths or headings that the link may have meant."""
    note, link, resolution = problem
    if resolution.note is not None:
        kind = _MISSING_HEADING
        meant = ClosestNames(heading.text for heading in resolution.note.headings).find(
            link.heading
        )
    elif resolution.outcome is Outcome.AMBIGUOUS:
        kind = str(Outcome.AMBIGUOUS)
        meant = [candidate.id for candidate in resolution.candidates]
    else:
        kind = str(Outcome.BROKEN)
        meant = names.find(link.target.rpartition("/")[2].removesuffix(".md"))
    return {
        "file": note.id,
        "line": link.line,
        "column": link.column,
        "link": link.source,
        "kind": kind,
        "target": link.target,
        "heading": link.heading,
        "meant": meant,
    }


def _print(report: dict[str, Any]) -> None:
    for kind in _KINDS:
        problems = [problem for problem in report["problems"] if problem["kind"] == kind]
        if not problems:
            continue
        print(f"\n{count(len(problems), f'{kind} link' if kind != _MISSING_HEADING else kind)}")
        for problem in problems:
            meant = " or ".join(problem["meant"])
            place = f"{problem['file']}:{problem['line']}:{problem['column']}"
            print(f"  {place}  {problem['link']}{f'  -> {meant}?' if meant else ''}")
    summary = report["summary"]
    total = len(report["problems"])
    verdict = f"{count(total, 'problem')}" if total else "all of them good"
    print(f"\n{count(summary['links'], 'link')} in {count(summary['notes'], 'note')}: {verdict}.")


if __name__ == "__main__":
    sys.exit(main())
