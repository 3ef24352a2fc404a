import json
import re
import resource
from itertools import pairwise

import pytest

from tests.integration.shipped_tools.conftest import TOOLS, RunTool, WriteNote


def write_two_groups(write: WriteNote) -> None:
    """Two triangles joined by one link, and a note alone."""
    for group in ("North", "South"):
        names = [f"{group} {number}" for number in (1, 2, 3)]
        for name, other in pairwise([*names, names[0]]):
            write(f"{name}.md", f"---\ntags: [{group.lower()}]\n---\n[[{other}]] again [[{other}]]")
    write("North 1.md", "[[North 2]] [[South 1]] [[North 1]] [[Nowhere]] [[#Here]]\n\n# North 1\n")
    write("Alone.md", "[web](https://example.com)")


def test_the_graph_counts_ranks_and_groups_the_notes(run_tool: RunTool, write: WriteNote) -> None:
    write_two_groups(write)
    run = run_tool("build_graph")
    assert run.code == 0, run.stderr
    graph = run.json("graph.json")
    summary = graph["summary"]
    assert summary | {"most_central": None} == {
        "notes": 7,
        "links": 7,
        "orphans": 1,
        "communities": 2,
        "broken_links": 1,
        "ambiguous_links": 0,
        "most_central": None,
    }
    assert len(summary["most_central"]) == 5
    assert summary["most_central"][0].keys() == {"id", "title", "rank"}
    assert summary["most_central"][0]["id"] == "South 1.md"
    assert graph["orphans"] == ["Alone.md"]
    assert {"source": "South 1.md", "target": "South 2.md", "count": 2} in graph["edges"]
    nodes = {node["id"]: node for node in graph["nodes"]}
    assert sum(node["rank"] for node in nodes.values()) == pytest.approx(1, abs=1e-5)
    assert nodes["Alone.md"]["community"] is None
    for group in ("North", "South"):
        assert len({nodes[f"{group} {number}.md"]["community"] for number in (1, 2, 3)}) == 1
    assert nodes["North 1.md"]["community"] != nodes["South 1.md"]["community"]
    assert (nodes["South 1.md"]["links_in"], nodes["South 1.md"]["links_out"]) == (2, 1)
    assert nodes["South 1.md"]["tags"] == ["south"]


def test_the_largest_group_comes_first_and_has_its_central_notes_name(
    run_tool: RunTool, write: WriteNote
) -> None:
    for group, size in (("A", 3), ("B", 5), ("C", 4)):
        write(f"{group}.md", "")
        for number in range(1, size):
            write(f"{group}{number}.md", f"[[{group}]]")
    communities = run_tool("build_graph").json("graph.json")["communities"]
    assert communities == [
        {"id": 0, "name": "B", "size": 5},
        {"id": 1, "name": "C", "size": 4},
        {"id": 2, "name": "A", "size": 3},
    ]


def test_the_summary_is_printed(run_tool: RunTool, write: WriteNote) -> None:
    write_two_groups(write)
    output = run_tool("build_graph").stdout
    assert "7 notes, 7 links, 2 groups, 1 orphan, 1 broken link." in output
    assert re.search(r"^  1\. South 1  \(\d+\.\d %\)$", output, re.MULTILINE)
    assert len(re.findall(r"^  \d\. ", output, re.MULTILINE)) == 5


def test_hubs_are_the_notes_with_unusually_many_links(run_tool: RunTool, write: WriteNote) -> None:
    for number in range(12):
        write(f"{number}.md", "[[Hub]]")
    write("Hub.md", "")
    assert run_tool("build_graph").json("graph.json")["hubs"] == ["Hub.md"]


def test_the_same_notes_always_give_the_same_files(run_tool: RunTool, write: WriteNote) -> None:
    """Whatever order a set of strings has in this process."""
    for number in range(60):
        links = f"[[N{number * 7 % 60}]] [[N{number * number % 60}]] [[N{(number + 1) % 60}]]"
        write(f"N{number}.md", links)
    first = run_tool("build_graph", PYTHONHASHSEED="1")
    before = [first.text(name) for name in ("graph.json", "graph.html")]
    second = run_tool("build_graph", PYTHONHASHSEED="2")
    assert [second.text(name) for name in ("graph.json", "graph.html")] == before


def test_no_two_notes_stand_on_one_another(run_tool: RunTool, write: WriteNote) -> None:
    for number in range(40):
        write(f"{number}.md", " ".join(f"[[{other}]]" for other in range(0, 40, number + 1)))
    nodes = run_tool("build_graph").json("graph.json")["nodes"]
    spots = [complex(node["x"], node["y"]) for node in nodes]
    nearest = min(abs(a - b) for i, a in enumerate(spots) for b in spots[:i])
    assert nearest > 0.2  # Of the length of a link at rest.


@pytest.mark.parametrize("count", [1, 2, 700])
def test_few_notes_and_many_have_finite_places(
    count: int, run_tool: RunTool, write: WriteNote
) -> None:
    """Above 600 notes the forces come from a grid."""
    for number in range(count):
        write(f"{number}.md", f"[[{(number + 1) % count}]] [[{number // 2}]]")
    run = run_tool("build_graph")
    assert run.code == 0, run.stderr
    spots = {(node["x"], node["y"]) for node in run.json("graph.json")["nodes"]}
    assert len(spots) == count
    assert all(abs(x) < 1000 and abs(y) < 1000 for x, y in spots)  # False for NaN.


def test_a_hostile_title_cannot_leave_the_data(run_tool: RunTool, write: WriteNote) -> None:
    title = "</script><script>alert(1)</script><!-- & \u2028"
    write("hostile.md", f"---\ntitle: '{title}'\n---\n</script> <img src=x onerror=alert(1)>")
    run = run_tool("build_graph")
    page = run.text("graph.html")
    data = re.search(r'<script type="application/json" id="data">([^<]*)</script>', page)
    assert data is not None
    assert json.loads(data[1])["nodes"][0]["title"] == " ".join(title.split())
    assert "alert(1)</script>" not in page


@pytest.mark.parametrize(
    ("tool", "page"), [("build_graph", "graph.html"), ("build_index", "search.html")]
)
def test_a_page_is_one_file_that_asks_nobody_for_anything(
    tool: str, page: str, run_tool: RunTool, write: WriteNote
) -> None:
    write("One.md", "text")
    text = run_tool(tool).text(page)
    assert "default-src 'none'" in text
    assert not re.findall(r"""\b(?:src|href)=["'](?!data:)""", text)
    assert not re.findall(r"url\(|@import|https?://|\beval\(|localStorage|fetch\(", text)


def test_the_examples_take_well_under_two_seconds(run_tool: RunTool) -> None:
    """Of the processor's time, which a busy machine lengthens little."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = run_tool("build_graph", "--knowledge", str(TOOLS.parent / "examples" / "knowledge"))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
    assert run.json("graph.json")["summary"]["orphans"] == 2
