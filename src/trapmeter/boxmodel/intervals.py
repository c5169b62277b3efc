"""Turns the ensemble's raw output into distances with intervals.

The ensemble predicts log(1 + metres), since errors grow with distance. Its quantile trees give the scale of the errors, but
are overconfident at new sites: `trapmeter.uncertainty` learns from held-out sites how many scales an interval must cover.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trapmeter.boxmodel.box_groups import Floats
from trapmeter.boxmodel.knowledge import Knowledge
from trapmeter.records import Distance
from trapmeter.uncertainty import MAX_M, Uncertainty, fit_uncertainty

TAIL = 0.05
"""Levels of the two quantile trees: TAIL and 1 - TAIL."""
SD_TO_TAIL = 1.645
"""Standard deviations from the mean of a normal distribution to its TAIL: makes scales comparable to them."""
MIN_SCALE = 0.03
MIN_M = 0.3
"""Distances are limited to MIN_M..MAX_M: labels of 0 to 25 m teach nothing about nearer or farther ones."""


def to_target(distance_m: Floats) -> Floats:
    """The target of trees and networks: log(1 + metres)."""
    return np.log1p(distance_m)


def fit_box_uncertainty(raw: Floats, truth_m: Floats, site_ids: Sequence[str]) -> Uncertainty:
    """The model's uncertainty, learned from held-out rows. raw: its point, low and high (n x 3)."""
    return fit_uncertainty(_point(raw), truth_m, site_ids, *_scales(raw))


def to_distances(raw: Floats, uncertainty: Uncertainty) -> list[Distance]:
    """Distances with intervals from the model's point, low and high (n x 3)."""
    return uncertainty.distances(_point(raw), *_scales(raw))


def distances_by_knowledge(
    raw: Floats, known: NDArray[np.str_], uncertainties: Mapping[Knowledge, Uncertainty]
) -> list[Distance]:
    """As `to_distances`, with the errors to expect by what is known about each row (n)."""
    distances = [Distance(0.0, 0.0, 0.0)] * len(raw)
    for knowledge in Knowledge:
        rows = np.flatnonzero(known == knowledge)
        for row, distance in zip(rows.tolist(), to_distances(raw[rows], uncertainties[knowledge]), strict=True):
            distances[row] = distance
    return distances


def _point(raw: Floats) -> Floats:
    return np.clip(raw[:, 0], np.log1p(MIN_M), np.log1p(MAX_M))


def _scales(raw: Floats) -> tuple[Floats, Floats]:
    """Error scales below and above the point. The three numbers come from different trees and may cross."""
    below, above = _point(raw) - raw[:, 1], raw[:, 2] - _point(raw)
    return np.maximum(below / SD_TO_TAIL, MIN_SCALE), np.maximum(above / SD_TO_TAIL, MIN_SCALE)
