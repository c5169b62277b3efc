"""Flags boxes unlike those of the training data, whose distances are doubtful."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trapmeter.boxmodel.box_groups import Floats32
from trapmeter.boxmodel.features import FEATURES

CHECKED_FEATURES = {
    "log_h": "height",
    "log_w": "width",
    "log_aspect": "shape",
    "y2": "lower edge",
    "from_ground_h_at_y2": "height for its place in this site's pictures",
    "fact_tan_log": "lens",
    "fact_shoulder_log": "size of the animal",
}
"""The features that are checked, and their names in a doubt."""
TAIL = 0.001
"""Share of the training boxes beyond each end of a range."""
MARGIN = 0.02
"""How far beyond a range a box must lie to be flagged, as a share of the range's width."""

Ranges = Mapping[str, tuple[float, float]]


def learn_ranges(rows: Floats32) -> dict[str, tuple[float, float]]:
    """Where nearly all training boxes lie, by feature. rows: n x len(FEATURES), NaN where unknown."""
    ranges = {}
    for name in CHECKED_FEATURES:
        column = rows[:, FEATURES.index(name)]
        known = column[~np.isnan(column)]
        if len(known):
            low, high = np.quantile(known, [TAIL, 1 - TAIL])
            ranges[name] = (round(float(low), 5), round(float(high), 5))
    return ranges


def find_doubts(rows: Floats32, ranges: Ranges) -> list[str]:
    """For each row, in which way its box is unlike the training data, or "". rows: n x len(FEATURES)."""
    names_of_row: list[list[str]] = [[] for _ in rows]
    for name, (low, high) in ranges.items():
        column = rows[:, FEATURES.index(name)]
        margin = MARGIN * (high - low) + 1e-4
        for index in np.flatnonzero((column < low - margin) | (column > high + margin)):
            names_of_row[index].append(CHECKED_FEATURES[name])
    prefix = "unlike the boxes that the model was trained on: "
    return [f"{prefix}{' and '.join(names)}" if names else "" for names in names_of_row]
