"""Misfit near the camera: animals that avoid the camera, or come to it, are not where they would be without it.

The nearest distances decide density, because they show how many animals there are where all are detected. Reactions show as
bins with far fewer, or far more, animals than any plausible function expects (Buckland et al. 2001, section 2.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from trapmeter.density.detection.distances import Distances, ExactDistances
from trapmeter.density.detection.fit import DetectionFit
from trapmeter.density.detection.goodness import BinCount

MAX_RATIO = 1.5
"""Near bins with more animals than this times the expected ones, or fewer than the expected ones divided by it, stand out."""
MAX_FALL = 3.0
"""A crowd has more animals per area than this times the next bin. Behind avoided bins, detection falls more slowly."""
MIN_DEVIATIONS = 4.0
"""Standard deviations (of a Poisson count) by which the bins that stand out must deviate together."""
N_BINS = 12
"""Bins of equal width in which exact distances are compared."""


@dataclass(frozen=True, slots=True)
class NearMisfit:
    """Animals nearer than end_m: observed, and expected from the fit. is_excess: more animals than expected stand out."""

    end_m: float
    observed: float
    expected: float
    is_excess: bool


def find_misfit_near_camera(fit: DetectionFit, distances: Distances) -> NearMisfit | None:
    """The bins within the effective radius that the fit can't explain; None if it explains them."""
    bins = _bins(fit, distances)
    near = [count for count in bins if count.low_m < fit.edr_m]
    few = list(takewhile(lambda count: count.observed < count.expected / MAX_RATIO, near))
    many = [
        count
        for count, after in zip(near, bins[1:], strict=False)
        if count.observed > count.expected * MAX_RATIO and _per_area(count) > MAX_FALL * _per_area(after)
    ]
    standing_out = next((counts for counts in (many, few) if _stands_out(counts)), None)
    if standing_out is None:
        return None
    end_m = standing_out[-1].high_m
    up_to = [count for count in bins if count.high_m <= end_m]
    return NearMisfit(
        end_m,
        sum(count.observed for count in up_to),
        sum(count.expected for count in up_to),
        standing_out is many,
    )


def _stands_out(counts: Sequence[BinCount]) -> bool:
    expected = sum(count.expected for count in counts)
    difference = sum(count.observed for count in counts) - expected
    return bool(counts) and abs(difference) >= MIN_DEVIATIONS * expected**0.5


def _per_area(count: BinCount) -> float:
    return count.observed / (count.high_m**2 - count.low_m**2)


def _bins(fit: DetectionFit, distances: Distances) -> Sequence[BinCount]:
    if not isinstance(distances, ExactDistances):
        return () if fit.chi_square is None else fit.chi_square.bins
    edges = np.linspace(distances.left_m, distances.right_m, N_BINS + 1)
    observed = np.histogram(distances.distance_m, edges, weights=distances.weights)[0]
    expected = distances.n * np.diff(fit.cdf(edges))
    rows = zip(edges[:-1].tolist(), edges[1:].tolist(), observed.tolist(), expected.tolist(), strict=True)
    return [BinCount(*row) for row in rows]
