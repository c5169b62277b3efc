"""Heaped distances: people and models round, and a heap on a cutpoint falls into one bin as a whole.

Half of the animals in a heap stand nearer than its round number and half farther. If that number is a cutpoint, all of them
count in the bin below it, so detection seems to fall sooner than it does. A cutpoint between two heaps has no such effect
(Buckland et al. 2001, section 7.4.1.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trapmeter.density.detection.quadrature import Floats

UNITS_M = (5.0, 2.0, 1.0, 0.5, 0.25, 0.2, 0.1)
"""What distances are rounded to, metres; finer heaps hardly matter for bins of a metre."""
MIN_ROUND_SHARE = 0.8
"""Distances are rounded to a unit if this share of them are multiples of it."""
MIN_ON_CUTPOINTS = 0.05
"""The share of the distances on cutpoints above which heaps matter."""
TOLERANCE_M = 1e-6


@dataclass(frozen=True, slots=True)
class HeapsOnCutpoints:
    """Heaps that coincide with cutpoints.

    unit_m: to which most distances are rounded. n_on_cutpoints: distances that equal a cutpoint above 0 m. cutpoints_m:
    proposed instead, half a unit farther, so that the same distances share a bin.
    """

    unit_m: float
    n_on_cutpoints: int
    cutpoints_m: tuple[float, ...]


def find_heaps_on_cutpoints(distance_m: Floats, edges_m: Floats) -> HeapsOnCutpoints | None:
    """The heaps on cutpoints among distances (n, metres); None if there are none, or too few to matter.

    edges_m: cutpoints, metres. Of the proposed ones, a first cutpoint above 0 m moves to before its heap.
    """
    inside = distance_m[(distance_m >= edges_m[0]) & (distance_m <= edges_m[-1])]
    if not len(inside):
        return None
    unit = next((unit for unit in UNITS_M if _is_multiple(inside, unit).mean() >= MIN_ROUND_SHARE), None)
    if unit is None:
        return None
    heaped = np.array([edge > 0 and bool((np.abs(inside - edge) < TOLERANCE_M).any()) for edge in edges_m])
    n = int(sum((np.abs(inside - edge) < TOLERANCE_M).sum() for edge in edges_m[heaped]))
    if n < MIN_ON_CUTPOINTS * len(inside):
        return None
    moves = np.where(heaped, unit / 2, 0.0)
    moves[0] *= -1
    return HeapsOnCutpoints(unit, n, tuple(np.round(edges_m + moves, 6).tolist()))


def _is_multiple(distance_m: Floats, unit_m: float) -> Floats:
    return np.asarray(np.abs(distance_m / unit_m - np.round(distance_m / unit_m)) * unit_m < TOLERANCE_M, np.float64)
