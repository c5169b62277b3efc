"""From the model's numbers to distances: what scale its trees give its errors, and within which bounds they answer.

The model speaks in log(1 + metres): errors grow with distance. `trapmeter.uncertainty` learns from held-out sites how many
scales an interval must reach; quantile trees alone promise too much at sites that they have not seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trapmeter.records import Distance
from trapmeter.uncertainty import MAX_M, Uncertainty, fit_uncertainty

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

TAIL = 0.05
"""Levels of the two quantile trees: TAIL and 1 - TAIL."""
SD_TO_TAIL = 1.645
"""Standard deviations from the middle of a bell curve to its TAIL: makes a scale comparable to one."""
MIN_SCALE = 0.03
MIN_M = 0.3
"""Distances stay between this and MAX_M: nothing nearer or farther can be learned from labels of 0 to 25 m."""


def to_target(distance_m: Floats) -> Floats:
    """What trees and networks learn of a distance."""
    return np.log1p(distance_m)


def fit_box_uncertainty(raw: Floats, truth_m: Floats, site_ids: Sequence[str]) -> Uncertainty:
    """How sure the model is, from held-out rows. raw: n x 3, its point, low and high."""
    return fit_uncertainty(_point(raw), truth_m, site_ids, *_scales(raw))


def to_distances(raw: Floats, uncertainty: Uncertainty) -> list[Distance]:
    """Distances of n rows from the model's point, low and high (n x 3)."""
    return uncertainty.distances(_point(raw), *_scales(raw))


def _point(raw: Floats) -> Floats:
    return np.clip(raw[:, 0], np.log1p(MIN_M), np.log1p(MAX_M))


def _scales(raw: Floats) -> tuple[Floats, Floats]:
    """Below and above the point. The three numbers come from different trees and networks and may cross."""
    below, above = _point(raw) - raw[:, 1], raw[:, 2] - _point(raw)
    return np.maximum(below / SD_TO_TAIL, MIN_SCALE), np.maximum(above / SD_TO_TAIL, MIN_SCALE)
