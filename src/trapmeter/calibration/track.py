"""What an animal's seconds tell together: distances change little from one second to the next.

A chain over a grid of distances (a hidden Markov model, forward and backward): each second has what speaks for each
distance, and between two seconds an animal walks a little, seldom far. So a second whose box is wrong is mended by its
neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GRID_LOG = np.linspace(np.log1p(0.3), np.log1p(60.0), 108)
"""The distances that are weighed, in log(1 + metres). Through a narrow lens animals are told at 50 m."""
GRID_M = np.expm1(GRID_LOG)


@dataclass(frozen=True, slots=True)
class WalkSettings:
    """How animals move, in log(1 + metres)."""

    walk: float = 0.12
    """Mean step in a second; grows with the root of time."""
    jump: float = 0.004
    """How often, in relation to that, it is another distance altogether: tracks may change their animal."""


def along_track(evidence_log: Floats, time_s: Floats, settings: WalkSettings) -> Floats:
    """The share (n x grid, rows sum to 1) of each distance of GRID_M at each second, given the evidence of all.

    evidence_log: n x grid, the logarithm of what each second alone has for each distance, up to a constant a row.
    time_s: n, ascending.
    """
    evidence = np.exp(evidence_log - evidence_log.max(axis=1, keepdims=True))
    apart = np.abs(GRID_LOG[:, None] - GRID_LOG[None, :])
    steps = []
    for gap_s in np.diff(time_s):
        scale = settings.walk * np.sqrt(max(float(gap_s), 0.1))
        step = np.exp(-apart / scale) + settings.jump * scale
        steps.append(step / step.sum(axis=0))
    forward = np.empty_like(evidence)
    forward[0] = evidence[0] / evidence[0].sum()
    for i, step in enumerate(steps, start=1):
        here = (step @ forward[i - 1]) * evidence[i]
        forward[i] = here / here.sum()
    shares, backward = forward.copy(), np.ones(len(GRID_M))
    for i in range(len(steps) - 1, -1, -1):
        backward = steps[i].T @ (evidence[i + 1] * backward)
        backward /= backward.max()
        shares[i] = forward[i] * backward
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float64)


def quantiles_m(shares: Floats, levels: tuple[float, ...]) -> Floats:
    """The distances (metres, n x levels) below which the levels lie; levels: 0..1, ascending."""
    reached = np.cumsum(shares, axis=1)
    # Shares of cells that end half-way to the next distance.
    edges = np.concatenate([(GRID_LOG[1:] + GRID_LOG[:-1]) / 2, GRID_LOG[-1:]])
    return np.asarray(np.expm1(np.stack([np.interp(levels, row, edges) for row in reached])), np.float64)
