"""Which reference points of a site can't belong to one camera on roughly flat ground.

The points' 1/d lie near a plane over the picture. A point is doubtful if it lies more than MAX_Z standard deviations from
the plane through the others, or if the plane is one that no camera trap sees. Then points are left out until the rest fits
together. Where two choices fit about equally well, the points don't show which one is wrong.

What honest points may deviate is physical: a click is a few pixels off, a tape or a person's step some percent, and the
ground is uneven by some centimetres. MAX_Z, REFUSED_Z and MIN_GAP come from simulated sites (benchmarks/point_check.py,
docs/results/calibration.md): of 3,000 honest sites on level ground none was doubted, and of 3,000 on ground that is uneven by
a tenth of the camera's height none was refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from trapmeter.tables.reference_marks import Upright

Floats = NDArray[np.float64]

ROW_SD = 0.01
"""Of a click: a fraction of the picture's height, 7 pixels of 720."""
FLAT_SD = 0.01
"""Of 1/d, in 1/m: the ground as a whole isn't a plane."""
SHARE_SD = 0.07
"""Of 1/d, as a share: distances measured by hand, and the distance along the slope instead of the camera's axis."""
UNEVEN_SD = 0.1
"""Of 1/d, as a share for each unit of slope: ground that is uneven by 5 cm, since the slope is about 0.5 / height."""
SLOPES = (0.03, 5.0)
"""1/d grows by 0.1 to 3 per picture height for cameras at 0.3 to 3 m with lenses of 25 to 80 degrees."""
MAX_Z, REFUSED_Z = 3.5, 5.0
MIN_GAP = 6.0
"""Of the sum of squares: a choice is clear if the next best fits 20 times less well (exp(-6 / 2))."""
MIN_ROW_DIFFERENCE = 0.02
"""Of two points, in picture heights: closer ones don't show which is higher."""
REVERSED_SHARE = 0.8
"""From this share of pairs in which the farther point is lower on, points are in reverse order. One wrong point among three
or more reverses two thirds of the pairs at most."""


class Finding(Enum):
    """How points fit together."""

    FINE = "fine"
    SOME_WRONG = "some wrong"
    ONE_OF_SEVERAL = "one of several wrong"
    UNEVEN = "uneven"
    REVERSED = "reversed"
    CONTRADICTORY = "contradictory"


@dataclass(frozen=True, slots=True)
class Consistency:
    """What was found, and the points (by position) that it is about."""

    finding: Finding
    doubtful: tuple[int, ...] = ()


def check_consistency(points: Sequence[Upright]) -> Consistency:
    """How points on the ground at known distances fit together; at least two."""
    at = np.array([[1.0, point.lowest.y - 0.5, point.lowest.x - 0.5] for point in points])
    nearness = np.array([1 / point.distance_m for point in points if point.distance_m is not None])
    fit = _fit(at, nearness)
    if fit.is_possible(MAX_Z):
        return Consistency(Finding.FINE)
    everyone = tuple(range(len(nearness)))
    is_reversed = _reversed_share(at, nearness) >= REVERSED_SHARE
    if is_reversed and len(nearness) > 3:
        return Consistency(Finding.REVERSED, everyone)
    # Uneven ground may reverse two or three points, so these need a larger deviation.
    can_leave_out = len(nearness) > 2 and not is_reversed
    if can_leave_out and (found := _leave_out(at, nearness, MAX_Z)):
        return found
    # Two points that aren't reversed are only on too few rows of the picture.
    is_bearable = fit.is_possible(REFUSED_Z) or (len(nearness) == 2 and not is_reversed)
    if is_bearable or (can_leave_out and _leave_out(at, nearness, REFUSED_Z)):
        return Consistency(Finding.UNEVEN, everyone)
    return Consistency(Finding.REVERSED if is_reversed else Finding.CONTRADICTORY, everyone)


@dataclass(frozen=True, slots=True)
class _Fit:
    """The largest standardised deviation, the slope of 1/d with its SD, and the sum of squares."""

    max_z: float
    slope: float
    slope_sd: float
    squares: float

    def is_possible(self, max_z: float) -> bool:
        low, high = SLOPES
        margin = max_z * self.slope_sd
        return self.max_z < max_z and low - margin < self.slope < high + margin


def _fit(at: Floats, nearness: Floats) -> _Fit:
    """The least-squares plane, weighted by what honest points may deviate, with a vague prior."""
    slope = _typical_slope(at, nearness)
    share_sd = np.hypot(SHARE_SD, UNEVEN_SD * slope)
    sd = np.sqrt(FLAT_SD**2 + (ROW_SD * slope) ** 2 + (share_sd * nearness) ** 2)
    # 0.2 of the slope is a roll of 6 degrees.
    prior_sd = np.array([2.0, 4.0, 0.05 + 0.2 * slope])
    rows = np.concatenate([at / sd[:, None], np.diag(1 / prior_sd)])
    targets = np.concatenate([nearness / sd, np.zeros(3)])
    covariance = np.linalg.inv(rows.T @ rows)
    plane = covariance @ (rows.T @ targets)
    residual = targets - rows @ plane
    # A residual divided by the square root of (1 - leverage) is that of the fit without the point, by its SD.
    freedom = 1 - np.einsum("ij,jk,ik->i", rows, covariance, rows)[: len(nearness)]
    z = np.where(freedom < 0.02, 0.0, residual[: len(nearness)] / np.sqrt(np.maximum(freedom, 1e-9)))
    return _Fit(float(np.abs(z).max()), float(plane[1]), float(np.sqrt(covariance[1, 1])), float(residual @ residual))


def _leave_out(at: Floats, nearness: Floats, max_z: float) -> Consistency | None:
    """The points without which the others fit together; None if those would be more than a sixth."""
    kept, wrong = list(range(len(nearness))), list[int]()
    for _ in range(max(1, len(nearness) // 6)):
        fits = []
        for i in kept:
            others = [j for j in kept if j != i]
            fit = _fit(at[others], nearness[others])
            fits.append((not fit.is_possible(max_z), fit.squares, i))
        fits.sort()
        possible = [(squares, i) for is_impossible, squares, i in fits if not is_impossible]
        if possible:
            # Any two points have a plane: of three, the sums of squares don't show which one is wrong.
            if len(possible) == 1 or (len(kept) > 3 and possible[1][0] - possible[0][0] > MIN_GAP):
                return Consistency(Finding.SOME_WRONG, (*wrong, possible[0][1]))
            return Consistency(Finding.ONE_OF_SEVERAL, tuple(sorted([*wrong, *(i for _, i in possible)])))
        wrong.append(fits[0][2])
        kept.remove(fits[0][2])
    return None


def _typical_slope(at: Floats, nearness: Floats) -> float:
    """The median slope of 1/d between two points, within what cameras see."""
    drop, difference = _pairs(at, nearness)
    return float(np.clip(np.median(difference / drop), 0.05, 3.0)) if len(drop) else 0.5


def _reversed_share(at: Floats, nearness: Floats) -> float:
    drop, difference = _pairs(at, nearness)
    return float(np.mean(difference * drop < 0)) if len(drop) else 0.0


def _pairs(at: Floats, nearness: Floats) -> tuple[Floats, Floats]:
    """How much lower (picture heights) and nearer (1/m) the first of two points is, for all pairs on different rows."""
    i, j = np.triu_indices(len(nearness), 1)
    drop, difference = at[i, 1] - at[j, 1], nearness[i] - nearness[j]
    is_apart = np.abs(drop) > MIN_ROW_DIFFERENCE
    return drop[is_apart], difference[is_apart]
