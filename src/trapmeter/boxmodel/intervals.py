"""From the trees' numbers to distances with honest 90 % intervals.

Quantile trees promise too much at sites that they have not seen. Conformalised quantile regression (Romano, Patterson
and Candes 2019) widens each end by what held-out sites turned out to need. Both ends are widened on their own, and rows
with and without a box apart: without, the trees are far less sure.

The trees speak in log(1 + metres): errors grow with distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trapmeter.conformal import needed_offset
from trapmeter.records import Distance

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MIN_M, MAX_M = 0.3, 30.0
"""Distances stay between these: nothing nearer or farther can be learned from labels of 0 to 25 m."""


@dataclass(frozen=True, slots=True)
class Offsets:
    """How far (in log(1 + metres)) to move the ends outward; negative moves them inward."""

    boxed_low: float
    boxed_high: float
    unboxed_low: float
    unboxed_high: float


def to_target(distance_m: Floats) -> Floats:
    """What the trees learn of a distance."""
    return np.log1p(distance_m)


def fit_offsets(raw: Floats, target: Floats, is_boxed: Flags) -> Offsets:
    """Offsets from held-out rows. raw: n x 3, the trees' point, low and high; target: n, to_target of the truth."""
    return Offsets(
        needed_offset(raw[is_boxed, 1] - target[is_boxed]),
        needed_offset(target[is_boxed] - raw[is_boxed, 2]),
        needed_offset(raw[~is_boxed, 1] - target[~is_boxed]),
        needed_offset(target[~is_boxed] - raw[~is_boxed, 2]),
    )


def to_distances(raw: Floats, is_boxed: Flags, offsets: Offsets) -> list[Distance]:
    """Distances of n rows from the trees' point, low and high (n x 3)."""
    low_by = np.where(is_boxed, offsets.boxed_low, offsets.unboxed_low)
    high_by = np.where(is_boxed, offsets.boxed_high, offsets.unboxed_high)
    point = np.clip(np.expm1(raw[:, 0]), MIN_M, MAX_M)
    # The three come from different trees and may cross; the point is the better founded one.
    low = np.minimum(np.clip(np.expm1(raw[:, 1] - low_by), 0.0, MAX_M), point)
    high = np.maximum(np.clip(np.expm1(raw[:, 2] + high_by), 0.0, MAX_M), point)
    return [Distance(*row) for row in zip(point.tolist(), low.tolist(), high.tolist(), strict=True)]
