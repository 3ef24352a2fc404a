"""Where each note stands in the picture: a force-directed layout.

Notes push each other away with 1/distance, links pull like springs, and a weak pull to the middle
keeps the parts of a torn graph together. `pages/simulation.js` goes on with the same forces in
the browser. One unit is the distance at which a single link between two notes rests.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

_SEED = 20
_GRAVITY = (0.12, 0.22)
"""The pull to the middle along x and y: screens are wide."""
_GRAVITY_ALONE = 4.0
"""How many times stronger it is for notes that no link holds."""

_TOGETHER = 1.0
_APART = 0.35
"""How strongly a link pulls within a community, and between two."""

_EXACT_UP_TO = 600
"""Notes up to which every pair is reckoned; above, pushing goes over a grid."""
_CELLS = 128


def place(notes: int, edges: Sequence[tuple[int, int]], community_of: Sequence[int]) -> Points:
    """Give x and y of each note, the middle at 0, the same each time.

    *community_of* numbers each note's community; -1 is none.
    """
    if notes == 0:
        return np.zeros((0, 2))
    communities = np.array(community_of)
    pairs = np.array(edges, dtype=np.intp).reshape(-1, 2)
    same = communities[pairs[:, 0]] == communities[pairs[:, 1]]
    links = np.bincount(pairs.ravel(), minlength=notes)
    # The more links both ends have, the less each of them pulls; else a dense group collapses.
    pull = np.where(same, _TOGETHER, _APART) / links[pairs].min(axis=1)
    gravity = np.outer(np.where(links == 0, _GRAVITY_ALONE, 1.0), _GRAVITY)
    stiffness = gravity.max(axis=1)
    np.add.at(stiffness, pairs, pull[:, None])
    push = _push_exactly if notes <= _EXACT_UP_TO else _push_by_grid
    points = _start(communities)
    steps = 300 if notes <= _EXACT_UP_TO else 120
    for step in range(steps):
        force = push(points) - gravity * points
        spring = (points[pairs[:, 1]] - points[pairs[:, 0]]) * pull[:, None]
        np.add.at(force, pairs[:, 0], spring)
        np.add.at(force, pairs[:, 1], -spring)
        # Dividing by the stiffness keeps a hub with hundreds of springs from swinging.
        move = force / (stiffness[:, None] + 0.5)
        length = np.linalg.norm(move, axis=1, keepdims=True)
        longest = max(0.02, np.sqrt(notes) / 3 * (1 - step / steps) ** 2)
        points += move * np.minimum(1, longest / np.maximum(length, 1e-9))
    return points - points.mean(axis=0)


def _start(communities: NDArray[np.int_]) -> Points:
    """Spread the communities round a circle, so that they need not cross one another."""
    random = np.random.default_rng(_SEED)
    size = np.sqrt(len(communities))
    angle = 2 * np.pi * communities / max(1, int(communities.max()) + 1)
    alone = communities < 0
    points: Points = np.column_stack([np.cos(angle), np.sin(angle)]) * size
    points[alone] = 0
    spread = size / 3 * (1 + 2 * alone.astype(np.float64))
    return points + random.normal(size=points.shape) * spread[:, None]


def _push_exactly(points: Points) -> Points:
    away = points[:, None, :] - points[None, :, :]
    squared = (away**2).sum(axis=2) + 1e-3
    np.fill_diagonal(squared, np.inf)
    return (away / squared[:, :, None]).sum(axis=1)


def _push_by_grid(points: Points) -> Points:
    """Push by way of a grid: spread the notes on it, convolve with the force, read it off.

    The time grows with the notes, not with their pairs. Within a cell the push fades out.
    """
    low = points.min(axis=0)
    cell = max(float((points.max(axis=0) - low).max()) / (_CELLS - 2), 1e-9)
    position = (points - low) / cell
    corner = position.astype(np.intp)
    part = position - corner
    mass = np.zeros((_CELLS, _CELLS))
    weights = [
        (
            corner[:, 0] + i,
            corner[:, 1] + j,
            np.abs(1 - i - part[:, 0]) * np.abs(1 - j - part[:, 1]),
        )
        for i in (0, 1)
        for j in (0, 1)
    ]
    for x, y, weight in weights:
        np.add.at(mass, (x, y), weight)
    spectrum = np.fft.rfft2(mass, (2 * _CELLS, 2 * _CELLS))
    force = np.zeros_like(points)
    for axis, kernel in enumerate(_KERNELS):
        field = np.fft.irfft2(spectrum * kernel, (2 * _CELLS, 2 * _CELLS))[:_CELLS, :_CELLS]
        for x, y, weight in weights:
            force[:, axis] += field[x, y] * weight
    return force / cell


def _kernels() -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Give the spectra of the push in x and in y of one note on an endless grid."""
    away = np.fft.fftfreq(2 * _CELLS, 1 / (2 * _CELLS))
    x, y = np.meshgrid(away, away, indexing="ij")
    squared = x**2 + y**2
    squared[0, 0] = np.inf
    return np.fft.rfft2(x / squared), np.fft.rfft2(y / squared)


_KERNELS = _kernels()
