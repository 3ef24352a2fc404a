"""Make the notes searchable.

Writes an index of every word and a page that searches it as you type.
"""
# /// script
# requires-python = ">=3.11"
# dependencies = ["pyyaml>=6"]
#
# [tool.data20]
# title = "Make the notes searchable"
# category = "Knowledge"
#
# [tool.data20.parameters.knowledge]
# title = "Folder of notes"
#
# [tool.data20.parameters.quotable]
# title = "Characters to quote"
# minimum = 0
# ///

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from _notes.console import count, every_percent, make_output_folder, progress, speak_plainly
from _notes.index import Postings, build_postings
from _notes.markdown import paragraphs, plain_text
from _notes.pages import write_page
from _notes.vault import EXAMPLES, Vault, read_vault


def main(argv: Sequence[str] | None = None) -> int:
    """Write `index.json` and `search.html`; give 0, or 2 on wrong usage.

    `index.json` holds `notes`, a list of `{id, title, tags}`, and `terms`, which gives for each
    word, in small letters and without accents, note, weight, note, weight, and so on; a note is
    its number in the list.
    """
    parser = argparse.ArgumentParser(description="Make the notes searchable.")
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
        help="folder to write index.json and search.html to (default: here)",
    )
    parser.add_argument(
        "--quotable",
        type=int,
        default=3000,
        help="characters of each note that the page can quote; all of it is found",
    )
    args = parser.parse_args(argv)
    if args.quotable < 0:
        parser.error("--quotable must be 0 or more")
    speak_plainly()
    try:
        output = make_output_folder(args.output)
        vault = read_vault(args.knowledge, until_percent=40)
    except NotADirectoryError as error:
        parser.error(str(error))

    texts = [paragraphs(plain_text(note.prose)) for note in vault.notes]
    say = every_percent(len(texts), 50, 90, "Indexed")
    terms = build_postings(vault.notes, texts, say)

    progress(90, "Writing the index and the page")
    _write(output, vault, terms, [text[: args.quotable] for text in texts])
    done = f"{count(len(terms), 'word')} of {count(len(texts), 'note')}"
    print(f"\nThe index knows {done}. Open search.html to search it.")
    progress(100, done)
    return 0


def _write(output: Path, vault: Vault, terms: Postings, quotes: list[str]) -> None:
    notes = [{"id": note.id, "title": note.title, "tags": list(note.tags)} for note in vault.notes]
    (output / "index.json").write_text(
        json.dumps({"notes": notes, "terms": terms}, ensure_ascii=False), encoding="utf-8"
    )
    quoted = [{**note, "text": quote} for note, quote in zip(notes, quotes, strict=True)]
    write_page(
        output / "search.html",
        "search.html",
        title=vault.root.resolve().name,
        data={"notes": quoted, "terms": terms},
    )


if __name__ == "__main__":
    sys.exit(main())
