"""What a broken link may have meant: the names most like its target."""

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterable

_CANDIDATES = 40


class ClosestNames:
    """Finds the likest of many names.

    difflib compares too slowly to try thousands of names for each of hundreds of links, so only
    the names that share most pairs of letters with the target are compared.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_pair: dict[str, list[str]] = defaultdict(list)
        for name in sorted(set(names)):
            for pair in _pairs(name):
                self._by_pair[pair].append(name)
        self._found: dict[str, list[str]] = {}

    def find(self, target: str) -> list[str]:
        """Give at most three names like *target*, the likest first."""
        if target not in self._found:
            shared = Counter(
                name for pair in _pairs(target) for name in self._by_pair.get(pair, ())
            )
            likely = {name.casefold(): name for name, _ in shared.most_common(_CANDIDATES)}
            close = difflib.get_close_matches(target.casefold(), likely, n=3, cutoff=0.6)
            self._found[target] = [likely[name] for name in close]
        return self._found[target]


def _pairs(name: str) -> list[str]:
    folded = f" {name.casefold()} "
    return sorted({folded[place : place + 2] for place in range(len(folded) - 1)})
