"""Draw the notes and their links as a graph.

Ranks the notes, finds the groups that belong together, and draws all of it on a page to explore.
"""
# /// script
# requires-python = ">=3.11"
# dependencies = ["networkx>=3.6", "numpy>=2", "pyyaml>=6", "scipy>=1.14"]
#
# [tool.data20]
# title = "Draw the notes and their links as a graph"
# category = "Knowledge"
#
# [tool.data20.parameters.knowledge]
# title = "Folder of notes"
# ///

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from _notes.console import count, make_output_folder, progress, speak_plainly
from _notes.network import connect
from _notes.vault import EXAMPLES, read_vault


def main(argv: Sequence[str] | None = None) -> int:
    """Write `graph.json` and `graph.html`; give 0, or 2 on wrong usage."""
    parser = argparse.ArgumentParser(description="Draw the notes and their links as a graph.")
    parser.add_argument(
        "--knowledge",
        type=Path,
        default=EXAMPLES,
        help="folder of Markdown notes (default: the examples that ship)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=".",
        help="folder to write graph.json and graph.html to (default: here)",
    )
    args = parser.parse_args(argv)
    speak_plainly()
    try:
        output = make_output_folder(args.output)
        vault = read_vault(args.knowledge, until_percent=50)
    except NotADirectoryError as error:
        parser.error(str(error))

    progress(50, "Following the links")
    network = connect(vault)

    # networkx and numpy take longer to import than the notes to read; usage errors need not wait.
    from _notes.pages import write_page
    from _notes.picture import describe_graph

    graph = describe_graph(network, progress)

    progress(95, "Writing the page")
    (output / "graph.json").write_text(
        json.dumps(graph, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    write_page(output / "graph.html", "graph.html", title=vault.root.resolve().name, data=graph)

    summary = graph["summary"]
    print(
        f"\n{count(summary['notes'], 'note')}, {count(summary['links'], 'link')}, "
        f"{count(summary['communities'], 'group')}, {count(summary['orphans'], 'orphan')}, "
        f"{count(summary['broken_links'], 'broken link')}."
    )
    if summary["most_central"]:
        print("The most central:")
    for place, note in enumerate(summary["most_central"], start=1):
        print(f"  {place}. {note['title']}  ({100 * note['rank']:.1f} %)")
    progress(100, f"{count(summary['notes'], 'note')}, {count(summary['links'], 'link')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
