"""All that `graph.json` and the page of the graph show, as plain values."""

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from . import layout
from .analysis import find_communities, rank_notes
from .markdown import excerpt
from .network import Network
from .note import Note
from .resolve import Outcome

_MOST_CENTRAL = 5


def describe_graph(network: Network, progress: Callable[[float, str], None]) -> dict[str, Any]:
    """Give the graph as JSON can hold it.

    `summary`: `notes`, `links` (between two different notes, each pair and direction once),
    `orphans`, `communities`, `broken_links`, `ambiguous_links` and `most_central`, the five notes
    of highest rank as `{id, title, rank}`.
    `communities`: `{id, name, size}`, the largest first, named after its most central note.
    `orphans`, `hubs`: ids of notes without any link, and of those with unusually many.
    `nodes`: `{id, title, tags, created, excerpt, rank, community, links_in, links_out, x, y}`;
    an orphan's community is null; one unit of x and y is the length of a link at rest.
    `edges`: `{source, target, count}`, by id.
    """
    notes = network.notes
    progress(55, "Ranking the notes")
    ranks = rank_notes(network)
    progress(65, "Finding what belongs together")
    communities = find_communities(network)
    community_of = {number: place for place, group in enumerate(communities) for number in group}
    progress(75, "Placing the notes")
    places = [community_of.get(number, -1) for number in range(len(notes))]
    spots = layout.place(len(notes), list(network.edges), places)
    orphans = [note.id for number, note in enumerate(notes) if number not in community_of]
    links_out = Counter(source for source, _ in network.edges)
    links_in = Counter(target for _, target in network.edges)
    return {
        "summary": {
            "notes": len(notes),
            "links": len(network.edges),
            "orphans": len(orphans),
            "communities": len(communities),
            "broken_links": network.count(Outcome.BROKEN),
            "ambiguous_links": network.count(Outcome.AMBIGUOUS),
            "most_central": _most_central(notes, ranks),
        },
        "communities": [
            {
                "id": place,
                "name": notes[max(group, key=lambda number: (ranks[number], -number))].title,
                "size": len(group),
            }
            for place, group in enumerate(communities)
        ],
        "orphans": orphans,
        "hubs": _hubs(network, links_in + links_out),
        "nodes": [
            _describe_note(note)
            | {
                "rank": round(ranks[number], 6),
                "community": community_of.get(number),
                "links_in": links_in[number],
                "links_out": links_out[number],
                "x": round(float(spots[number][0]), 3),
                "y": round(float(spots[number][1]), 3),
            }
            for number, note in enumerate(notes)
        ],
        "edges": [
            {"source": notes[source].id, "target": notes[target].id, "count": times}
            for (source, target), times in sorted(network.edges.items())
        ],
    }


def _describe_note(note: Note) -> dict[str, Any]:
    return {
        "id": note.id,
        "title": note.title,
        "tags": list(note.tags),
        "created": note.created.isoformat() if note.created else None,
        "excerpt": excerpt(note.prose),
    }


def _most_central(notes: Sequence[Note], ranks: list[float]) -> list[dict[str, Any]]:
    by_rank = sorted(range(len(notes)), key=lambda number: (-ranks[number], notes[number].id))
    return [
        {"id": notes[number].id, "title": notes[number].title, "rank": round(ranks[number], 6)}
        for number in by_rank[:_MOST_CENTRAL]
    ]


def _hubs(network: Network, links: Counter[int]) -> list[str]:
    """Give the ids of notes whose links exceed the mean by two standard deviations."""
    counts = [links[number] for number in range(len(network.notes))]
    if not any(counts):
        return []
    limit = statistics.fmean(counts) + 2 * statistics.pstdev(counts)
    hubs = [number for number, links_here in enumerate(counts) if links_here > limit]
    return [network.notes[number].id for number in sorted(hubs, key=lambda n: (-counts[n], n))]
