"""What the graph says: which notes are central and which belong together.

networkx takes longer to import than forty notes take to read, so only this module knows it.
"""

from collections.abc import Sequence
from typing import Any

import networkx as nx  # pyright: ignore[reportMissingTypeStubs]  # It has no types; `Any` below.

from .network import Network

_SEED = 20
"""Louvain tries the notes in a random order; a fixed one gives the same answer each time."""

_networkx: Any = nx


def rank_notes(network: Network) -> list[float]:
    """Give each note's PageRank; they add up to 1."""
    if not network.notes:
        return []
    graph = _graph(network, _networkx.DiGraph())
    ranks: dict[int, float] = _networkx.pagerank(graph)
    return [float(ranks[number]) for number in range(len(network.notes))]


def find_communities(network: Network) -> list[list[int]]:
    """Group the notes that link to one another more than to the rest, by Louvain's method.

    The largest comes first. Notes without any link are in none.
    """
    graph = _graph(network, _networkx.Graph())
    graph.remove_nodes_from(list(_networkx.isolates(graph)))
    # Numbers, unlike names, come in the same order out of a set in every process.
    found: Sequence[set[int]] = _networkx.community.louvain_communities(graph, seed=_SEED)
    return sorted((sorted(group) for group in found), key=lambda group: (-len(group), group))


def _graph(network: Network, graph: Any) -> Any:  # noqa: ANN401  # networkx has no types.
    """Fill *graph*; without directions, links there and back add up."""
    graph.add_nodes_from(range(len(network.notes)))
    for (source, target), weight in network.edges.items():
        before = graph.get_edge_data(source, target, {"weight": 0})["weight"]
        graph.add_edge(source, target, weight=before + weight)
    return graph
