"""Says when a box is unlike those that a model has learnt from: its distance then rests on little."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trapmeter.boxmodel.features import FEATURES

CHECKED_FEATURES = {
    "log_h": "height",
    "log_w": "width",
    "log_aspect": "shape",
    "y2": "lower edge",
    "from_ground_h_at_y2": "height for its place in this site's pictures",
}
"""What is looked at, and how it is called."""
TAIL = 0.001
"""Share of the training's boxes beyond each end of a range."""
MARGIN = 0.02
"""How far beyond a range, as a share of its width, a box must lie to be called unlike."""

Ranges = Mapping[str, tuple[float, float]]


def learn_ranges(rows: NDArray[np.float32]) -> dict[str, tuple[float, float]]:
    """Where nearly all boxes of a training lie. rows: n x len(FEATURES), NaN where unknown."""
    ranges = {}
    for name in CHECKED_FEATURES:
        column = rows[:, FEATURES.index(name)]
        known = column[~np.isnan(column)]
        if len(known):
            low, high = np.quantile(known, [TAIL, 1 - TAIL])
            ranges[name] = (round(float(low), 5), round(float(high), 5))
    return ranges


def find_doubts(rows: NDArray[np.float32], ranges: Ranges) -> list[str]:
    """For each row what is unlike the training, or nothing."""
    found: list[list[str]] = [[] for _ in rows]
    for name, (low, high) in ranges.items():
        column = rows[:, FEATURES.index(name)]
        margin = MARGIN * (high - low) + 1e-4
        for index in np.flatnonzero((column < low - margin) | (column > high + margin)):
            found[index].append(CHECKED_FEATURES[name])
    return [f"unlike the boxes that the model has learnt from: {' and '.join(odd)}" if odd else "" for odd in found]
