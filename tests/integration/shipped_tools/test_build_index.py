from typing import Any

from tests.integration.shipped_tools.conftest import RunTool, WriteNote


def weights(index: dict[str, Any], word: str) -> dict[str, int]:
    """Give the weight of *word* in each note that has it."""
    postings = index["terms"].get(word, [])
    return {
        index["notes"][note]["id"]: weight
        for note, weight in zip(postings[::2], postings[1::2], strict=True)
    }


def test_words_are_found_in_text_titles_headings_and_tags(
    run_tool: RunTool, write: WriteNote
) -> None:
    write("a.md", "---\ntitle: Marine chronometer\ntags: [time]\n---\n## Cost\n\nIt *ticks*.")
    write("b.md", "A [[a|chronometer]] ticks. `code` #inline\n\n```\nhidden\n```\n<!-- secret -->")
    run = run_tool("build_index")
    assert run.code == 0, run.stderr
    index = run.json("index.json")
    assert index["notes"][0] == {"id": "a.md", "title": "Marine chronometer", "tags": ["time"]}
    found = {word: list(weights(index, word)) for word in index["terms"]}
    assert found == {
        "a": ["a.md", "b.md"],  # Of a.md it is the file's name.
        "b": ["b.md"],
        "chronometer": ["a.md", "b.md"],
        "code": ["b.md"],
        "cost": ["a.md"],
        "inline": ["b.md"],
        "it": ["a.md"],
        "marine": ["a.md"],
        "ticks": ["a.md", "b.md"],
        "time": ["a.md"],
    }


def test_a_title_weighs_more_than_text_and_a_rare_word_more_than_a_common_one(
    run_tool: RunTool, write: WriteNote
) -> None:
    write("Sextant.md", "An instrument made of brass.")
    write("Compass.md", "An instrument that is unlike a sextant.")
    index = run_tool("build_index").json("index.json")
    sextant = weights(index, "sextant")
    assert sextant["Sextant.md"] > sextant["Compass.md"]
    assert weights(index, "brass")["Sextant.md"] > weights(index, "instrument")["Sextant.md"]


def test_words_are_found_whatever_their_case_and_accents(
    run_tool: RunTool, write: WriteNote
) -> None:
    write("x.md", "ÜBER Straße Hōkūle\u02bba ΟΔΟΣ naïve 東京 re\u0301sume\u0301 don't")
    words = run_tool("build_index").json("index.json")["terms"].keys()
    expected = {"uber", "strasse", "hokulea", "οδοσ", "naive", "東", "京", "resume", "don", "t"}
    assert words >= expected


def test_a_note_is_quoted_up_to_the_limit_but_found_to_its_end(
    run_tool: RunTool, write: WriteNote
) -> None:
    write("long.md", "beginning " + "word " * 200 + "finally")
    run = run_tool("build_index", "--quotable", "50")
    assert "finally" in run.json("index.json")["terms"]
    page = run.text("search.html")
    assert "beginning word" in page
    assert "word finally" not in page


def test_a_negative_limit_is_a_usage_error(run_tool: RunTool) -> None:
    run = run_tool("build_index", "--quotable", "-1")
    assert run.code == 2
    assert "--quotable must be 0 or more" in run.stderr
