"""Notes over time, as a drawing: an SVG that stands alone, in light and dark."""

import html
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date

_WIDTH, _HEIGHT = 760, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 736, 64, 324
_MIDDLE = (_LEFT + _RIGHT) / 2

_STYLE = """
  svg { --paper: #faf8f4; --ink: #23211d; --muted: #6d685f; --line: #23211d22; --curve: #3b6cb4; }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #15171a; --ink: #ebe7de; --muted: #9d978b; --line: #ebe7de24; --curve: #79a8ec; }
  }
  text { fill: var(--muted); font: 13px system-ui, "Segoe UI", Roboto, sans-serif; }
  .title { fill: var(--ink); font: 600 19px "Iowan Old Style", Palatino, Georgia, serif; }
  .end { text-anchor: end; }
  .middle { text-anchor: middle; }
  .grid { stroke: var(--line); }
  .area { fill: var(--curve); opacity: 0.14; }
  .curve { fill: none; stroke: var(--curve); stroke-width: 2.2; stroke-linejoin: round; }
  .last { fill: var(--curve); }
"""


def draw_growth(days: Iterable[date], *, title: str) -> str:
    """Draw how many notes there were on each day, given the *days* on which they were made."""
    made = sorted(Counter(days).items())
    if not made:
        return _frame(title, ['<text x="64" y="100">No note says when it was created.</text>'])
    first, last = made[0][0], made[-1][0]
    span = max(1, (last - first).days)
    total = sum(number for _, number in made)
    step = _round_step(total / 5)
    top = step * math.ceil(total / step)

    def x_of(day: date) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * (day - first).days / span, 1)

    def y_of(number: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * number / top, 1)

    curve = f"M{x_of(first)} {y_of(0)}"
    so_far = 0
    for day, number in made:
        so_far += number
        curve += f"H{x_of(day)}V{y_of(so_far)}"
    curve += f"H{_RIGHT}"
    parts = [
        f'<path class="grid" d="M{_LEFT} {y_of(number)}H{_RIGHT}"/>'
        f'<text class="end" x="{_LEFT - 10}" y="{y_of(number) + 4}">{number:,}</text>'
        for number in range(0, top + 1, step)
    ]
    parts += [
        f'<path class="grid" d="M{x_of(day)} {_BOTTOM}v6"/>'
        f'<text class="middle" x="{x_of(day)}" y="{_BOTTOM + 22}">{label}</text>'
        for day, label in _date_marks(first, last)
    ]
    parts += [
        f'<path class="area" d="{curve}V{_BOTTOM}H{_LEFT}Z"/>',
        f'<path class="curve" d="{curve}"/>',
        f'<circle class="last" cx="{_RIGHT}" cy="{y_of(total)}" r="4"/>',
        f'<text class="middle" x="{_MIDDLE}" y="{_HEIGHT - 10}">day of creation</text>',
        '<text class="middle" transform="translate(16 194) rotate(-90)">notes</text>',
    ]
    return _frame(title, parts)


def _frame(title: str, parts: list[str]) -> str:
    shown = html.escape(title)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
            f"<title>{shown}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="var(--paper)"/>',
            f'<text class="title" x="24" y="36">{shown}</text>',
            *parts,
            "</svg>\n",
        ]
    )


def _round_step(least: float) -> int:
    """Give the smallest of 1, 2, 5, 10, 20, 50, ... that is at least *least*."""
    power = 10 ** max(0, math.floor(math.log10(max(least, 1))))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)


def _date_marks(first: date, last: date) -> Iterator[tuple[date, str]]:
    """Give at most nine first days of months, evenly apart, and how to write them."""
    months = (last.year - first.year) * 12 + last.month - first.month
    step = next((step for step in (1, 2, 3, 6, 12) if months / step <= 8), 0)
    step = step or 12 * _round_step(months / 12 / 8)
    if months < 2:
        yield first, first.isoformat()
        if last != first:
            yield last, last.isoformat()
        return
    month = first.year * 12 + first.month  # The month after the first, counted from year 0.
    month += -month % step
    while month <= last.year * 12 + last.month - 1:
        day = date(month // 12, month % 12 + 1, 1)
        yield day, str(day.year) if step >= 12 else f"{day:%b %Y}"
        month += step
