from typing import Any

import pytest

from tests.integration.shipped_tools.conftest import TOOLS, RunTool, WriteNote


def problems_of(run_tool: RunTool) -> list[dict[str, Any]]:
    run = run_tool("check_links")
    assert run.code == 0, run.stderr
    return run.json("links.json")["problems"]


@pytest.mark.parametrize(
    "link",
    [
        "[[Target]]",
        "[[target]]",
        "[[Target.md]]",
        "[[ Target ]]",
        "[[Target|another name]]",
        "| a table | [[Target\\|another name]] |",
        "[[Target#First part]]",
        "[[Target#first PART]]",
        "[[Target#First part#Über: code and more]]",
        "[[Target#^block-1]]",
        "[[sub/Target]]",
        "[[Sub/TARGET.md]]",
        "[[./sub/Target]]",
        "[[Other name]]",
        "![[Target]]",
        "![[picture.png]]",
        "![[picture.png|300]]",
        "[[#Here]]",
        "[here](#here)",
        "[t](sub/Target.md)",
        "[t](./sub/Target.md)",
        "[t](/sub/Target.md)",
        "[t](sub/../sub/Target.md)",
        "[t](sub/Target)",
        "[t](Target.md)",
        '[t](sub/Target.md "Title (of it)")',
        "[t](<sub/Target.md>)",
        "[t](sub/Target.md#first-part)",
        "[t](sub/Target.md#über-code-and-more)",
        "[t](sub/Target.md#%C3%BCber-code-and-more)",
        "[t](sub/Target.md#first-part-1)",
        "[t](sub/Target.md#set)",
        "[t](sub/Target.md#marked)",
        "[t](with%20space%20(1).md)",
        "[t](<with space (1).md>)",
        "![alt](sub/picture.png)",
        "[![alt](sub/picture.png)](sub/Target.md)",
        "[t](sub/)",
        "[t](../outside.md)",
        "[t](https://example.com/nope.md)",
        "[t](mailto:nobody@example.com)",
        "[t](//example.com/nope)",
        "[full][ref]\n\n[ref]: sub/Target.md 'Title'",
        "[Ref][]\n\n[ref]: <sub/Target.md>",
        "[ref]\n\n[ref]: sub/Target.md",
        "[a][missing reference]",
        "[ ] a task, [x] done, [^1] a footnote\n\n[^1]: nope.md",
        "`[[nope]]` and ``a ` [[nope]]`` and `[t](nope.md)`",
        "```\n[[nope]]\n```",
        "~~~ python\n[[nope]]\n```\n[t](nope.md)\n~~~",
        "- item\n\n  ```\n  [[nope]]\n  ```\n",
        "> ```\n> [[nope]]\n> ```\n",
        "```\n[[nope]] in a fence that never ends",
        "text\n\n    [[nope]]\n\n\t[t](nope.md)\n\nmore",
        "<!-- [[nope]]\n[t](nope.md) -->",
        "%% [[nope]] %%",
        "\\[[nope]] \\[t](nope.md)",
        "[[]] [[ ]] []() [[|]]",
    ],
)
def test_a_good_link_is_no_problem(link: str, run_tool: RunTool, write: WriteNote) -> None:
    write(
        "sub/Target.md",
        "---\naliases: [Other name]\n---\n# First part\n\n## Über: `code` and *more*\n\n"
        "# First part\n\nSet\n===\n\nA paragraph. ^block-1\n\n<a id='marked'></a>\n",
    )
    write("sub/picture.png", b"")
    write("with space (1).md", "")
    write("Source.md", f"# Here\n\n{link}\n")
    assert problems_of(run_tool) == []


@pytest.mark.parametrize(
    ("link", "kind"),
    [
        ("[[Targte]]", "broken"),
        ("[[sub/Elsewhere/Target]]", "broken"),
        ("![[missing.png]]", "broken"),
        ("[t](sub/Targte.md)", "broken"),
        ('[t](sub/Targte.md "Title")', "broken"),
        ("[![alt](sub/picture.png)](nope.md)", "broken"),
        ("![alt](nope.png)", "broken"),
        ("[[Target#Second part]]", "missing heading"),
        ("[[Target#First part#Nope]]", "missing heading"),
        ("[[Target#^block-2]]", "missing heading"),
        ("[[#Nowhere]]", "missing heading"),
        ("[t](sub/Target.md#second-part)", "missing heading"),
        ("[[Twin]]", "ambiguous"),
        ("[[Shared alias]]", "ambiguous"),
    ],
)
def test_a_bad_link_is_reported_with_its_kind_and_place(
    link: str, kind: str, run_tool: RunTool, write: WriteNote
) -> None:
    write("sub/Target.md", "# First part\n\nText. ^block-1\n")
    write("sub/picture.png", b"")
    write("a/Twin.md", "---\naliases: Shared alias\n---\n")
    write("b/Twin.md", "---\naliases: [Shared alias]\n---\n")
    write("Source.md", f"---\ntitle: S\n---\n\n```\n[[code]]\n```\n\nä `x` {link} and more\n")
    (problem,) = problems_of(run_tool)
    assert (problem["kind"], problem["link"]) == (kind, link)
    assert (problem["file"], problem["line"], problem["column"]) == ("Source.md", 9, 7)


def test_what_is_indented_below_a_list_item_is_text(run_tool: RunTool, write: WriteNote) -> None:
    write("Source.md", "1. item\n\n    [[Nowhere]]\n\n    - deeper\n\n        [[Nowhere]]\n")
    assert [problem["line"] for problem in problems_of(run_tool)] == [3, 7]


def test_a_missing_file_in_another_folder_is_broken(run_tool: RunTool, write: WriteNote) -> None:
    """A path with `..` leads out of the vault only when its own folder says so."""
    write("people/Fresnel.md", "[tower](../places/Cordouan.md) and [[../places/Cordouan]]")
    write("places/Eddystone.md", "")
    assert [problem["column"] for problem in problems_of(run_tool)] == [1, 36]


def test_of_two_notes_of_one_name_the_one_in_the_same_folder_is_meant(
    run_tool: RunTool, write: WriteNote
) -> None:
    write("a/Twin.md", "# Only here")
    write("b/Twin.md", "")
    write("a/Source.md", "[[Twin#Only here]]")
    write("b/Source.md", "[[Twin#Only here]]")
    write("Source.md", "[[a/Twin#Only here]]")
    (problem,) = problems_of(run_tool)
    assert (problem["file"], problem["kind"]) == ("b/Source.md", "missing heading")


def test_names_are_equal_however_their_accents_are_stored(
    run_tool: RunTool, write: WriteNote
) -> None:
    write("U\u0308ber.md", "")
    write("Source.md", "[[\u00dcber]] [t](%C3%9Cber.md) [t](U%CC%88ber.md)")
    assert problems_of(run_tool) == []


def test_the_report_says_what_was_meant(run_tool: RunTool, write: WriteNote) -> None:
    write("Nevil Maskelyne.md", "# The Longitude Act")
    write("a/Mercator.md", "")
    write("b/Mercator.md", "")
    write(
        "Source.md",
        "[[Nevil Maskeleyne]]\n[[Nevil Maskelyne#Longitude act]]\n[[Mercator]]\n[[Zzyzx]]",
    )
    meant = [problem["meant"] for problem in problems_of(run_tool)]
    assert meant == [
        ["Nevil Maskelyne"],
        ["The Longitude Act"],
        ["a/Mercator.md", "b/Mercator.md"],
        [],
    ]
    run = run_tool("check_links")
    assert "Source.md:1:1  [[Nevil Maskeleyne]]  -> Nevil Maskelyne?" in run.stdout
    assert "4 links in 4 notes: 4 problems." in run.stdout


def test_strict_fails_when_and_only_when_links_are_bad(run_tool: RunTool, write: WriteNote) -> None:
    write("Source.md", "[[Source]]")
    assert run_tool("check_links", "--strict").code == 0
    write("Source.md", "[[Nowhere]]")
    assert run_tool("check_links", "--strict").code == 1
    assert run_tool("check_links").code == 0


def test_what_is_broken_in_the_examples_is_what_they_say(run_tool: RunTool) -> None:
    """`About this collection.md` lists its loose ends; they are found, and nothing else is."""
    run = run_tool("check_links", "--knowledge", str(TOOLS.parent / "examples" / "knowledge"))
    summary = run.json("links.json")["summary"]
    assert summary["notes"] > 40
    assert [summary[kind] for kind in ("broken", "ambiguous", "missing_headings")] == [3, 1, 2]
