"""How figures are shown."""

from collections.abc import Mapping


def print_table(figures: Mapping[str, float]) -> None:
    """Print one figure a line, each behind its name."""
    width = max(map(len, figures))
    for what, figure in figures.items():
        print(f"{what:<{width}}  {figure:>10.2f}")
