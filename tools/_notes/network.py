"""The notes and the links between them, as a graph."""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from .links import Link
from .note import Note
from .resolve import Outcome, Resolution, Resolver
from .vault import Vault


class Problem(NamedTuple):
    """A link that does not lead where it should, and the note it stands in."""

    note: Note
    link: Link
    resolution: Resolution


@dataclass(frozen=True, slots=True)
class Network:
    """A directed graph of notes; a note is its number in `notes`."""

    notes: tuple[Note, ...]
    edges: dict[tuple[int, int], int]
    """How often one note links to another. Links of a note to itself are left out."""
    problems: tuple[Problem, ...]
    links: int
    """How many links there are in all, to whatever they lead."""

    def count(self, outcome: Outcome) -> int:
        """Count the links with this *outcome* among the problems."""
        return sum(problem.resolution.outcome is outcome for problem in self.problems)


def connect(vault: Vault) -> Network:
    """Follow every link of *vault*."""
    resolver = Resolver(vault)
    numbers = {note.id: number for number, note in enumerate(vault.notes)}
    edges: Counter[tuple[int, int]] = Counter()
    problems: list[Problem] = []
    for number, note in enumerate(vault.notes):
        for link in note.links:
            resolution = resolver.resolve(link, note)
            target = resolution.note
            if target is not None and target is not note:
                edges[number, numbers[target.id]] += 1
            if resolution.lacks_heading or resolution.outcome in {
                Outcome.BROKEN,
                Outcome.AMBIGUOUS,
            }:
                problems.append(Problem(note, link, resolution))
    return Network(
        vault.notes, dict(edges), tuple(problems), sum(len(note.links) for note in vault.notes)
    )
