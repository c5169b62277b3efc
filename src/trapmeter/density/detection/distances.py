"""The distances a detection function is fitted to: exact or binned, truncated and weighted.

Both kinds know their truncation and are checked on construction. Every observation may carry a weight: ten draws of where
one animal may have stood count a tenth each. Counts are sums of weights, so they may be fractions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trapmeter.density.detection.measurement_error import ErrorMatrix
from trapmeter.density.detection.quadrature import Floats
from trapmeter.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class BinnedDistances:
    """Counts between cutpoints; the first cutpoint is the left truncation, the last one the right truncation.

    edges_m: rising (bins + 1). counts: >= 0, fractions allowed (bins). n_outside: observations left out because they lie
    beyond the cutpoints. error_matrix: the bins in which animals at each true distance are measured; None: without error.
    """

    edges_m: Floats
    counts: Floats
    n_outside: int = 0
    error_matrix: ErrorMatrix | None = None

    def __post_init__(self) -> None:
        _check_cutpoints(self.edges_m)
        if self.counts.shape != (len(self.edges_m) - 1,):
            raise InputError(
                f"expected a count for each of the {len(self.edges_m) - 1} bins between {len(self.edges_m)} cutpoints, "
                f"got counts of shape {self.counts.shape}; give one count per bin"
            )
        if not (np.isfinite(self.counts) & (self.counts >= 0)).all():
            raise InputError(f"expected counts >= 0, got {self.counts.tolist()}; correct them")
        if not self.counts.sum() > 0:
            raise InputError(_no_detection_message(self.left_m, self.right_m, self.n_outside))

    @property
    def left_m(self) -> float:
        """Left truncation, metres."""
        return float(self.edges_m[0])

    @property
    def right_m(self) -> float:
        """Right truncation w, metres."""
        return float(self.edges_m[-1])

    @property
    def reach_m(self) -> float:
        """How far the detection function reaches, metres: w, or farther if errors bring animals from beyond w into it."""
        return self.right_m if self.error_matrix is None else self.error_matrix.farthest_m

    @property
    def n(self) -> float:
        """Observations inside the cutpoints: the sum of weights."""
        return float(self.counts.sum())


@dataclass(frozen=True, slots=True, eq=False)
class ExactDistances:
    """Distances as measured (n), all with left_m <= distance <= right_m, and their weights (n, > 0).

    n_outside: observations left out because they lie beyond the truncation.
    """

    distance_m: Floats
    weights: Floats
    left_m: float
    right_m: float
    n_outside: int = 0

    def __post_init__(self) -> None:
        _check_truncation(self.left_m, self.right_m)
        _check_distances(self.distance_m, self.weights)
        if not len(self.distance_m):
            raise InputError(_no_detection_message(self.left_m, self.right_m, self.n_outside))
        beyond = self.distance_m[(self.distance_m < self.left_m) | (self.distance_m > self.right_m)]
        if len(beyond):
            raise InputError(
                f"expected distances from {self.left_m:g} to {self.right_m:g} m, got {len(beyond)} outside, such as "
                f"{beyond[0]:g} m; remove them with truncate(), or move the truncation"
            )

    @property
    def reach_m(self) -> float:
        """How far the detection function reaches: w, metres."""
        return self.right_m

    @property
    def n(self) -> float:
        """Observations: the sum of weights."""
        return float(self.weights.sum())


Distances = BinnedDistances | ExactDistances


def bin_distances(
    distance_m: ArrayLike,
    edges_m: Sequence[float],
    weights: ArrayLike | None = None,
    *,
    left_m: float | None = None,
    right_m: float | None = None,
) -> BinnedDistances:
    """Counts distances between cutpoints: edges 2, 3, 5 make the bins 2 <= r <= 3 and 3 < r <= 5, as in R's Distance.

    Args:
        distance_m: n distances, metres, >= 0. Those beyond the cutpoints are left out and counted in `n_outside`.
        edges_m: rising cutpoints, at least two, metres.
        weights: n numbers > 0, usually in 0..1; 1 each by default.
        left_m: left truncation, metres; the first cutpoint by default.
        right_m: right truncation, metres; the last cutpoint by default.

    Raises:
        InputError: a distance is negative or not a number, none lies inside, or the truncation is not at the outer cutpoints.
    """
    distance, weight = _checked_arrays(distance_m, weights)
    edges = np.asarray(edges_m, np.float64)
    _check_cutpoints(edges)
    ends = (edges[0] if left_m is None else left_m, edges[-1] if right_m is None else right_m)
    if ends != (edges[0], edges[-1]):
        raise InputError(
            f"the cutpoints run from {edges[0]:g} to {edges[-1]:g} m, but the truncation is at {ends[0]:g} and "
            f"{ends[1]:g} m; make the first and the last cutpoint the truncation"
        )
    bin_index = find_bins(edges, distance)
    inside = bin_index >= 0
    counts = np.bincount(bin_index[inside], weight[inside], minlength=len(edges) - 1).astype(np.float64)
    return BinnedDistances(edges, counts, int((~inside).sum()))


def find_bins(edges_m: Floats, distance_m: Floats) -> NDArray[np.intp]:
    """The bin of each distance (n), counted from 0; -1 beyond the cutpoints.

    A distance on a cutpoint belongs to the nearer bin, one on the first cutpoint to the first bin: R's
    `cut(include.lowest = TRUE)`, which its package Distance uses.
    """
    bin_index = np.maximum(np.searchsorted(edges_m, distance_m, side="left") - 1, 0)
    return np.where((distance_m >= edges_m[0]) & (distance_m <= edges_m[-1]), bin_index, -1)


def truncate(
    distance_m: ArrayLike, *, right_m: float, left_m: float = 0.0, weights: ArrayLike | None = None
) -> ExactDistances:
    """Keeps the distances with left_m <= r <= right_m unchanged.

    Args:
        distance_m: n distances, metres, >= 0. Those beyond are left out and counted in `n_outside`.
        right_m: right truncation w, metres.
        left_m: left truncation, metres.
        weights: n numbers > 0, usually in 0..1; 1 each by default.

    Raises:
        InputError: a distance is negative or not a number, none lies inside, or left_m >= right_m.
    """
    distance, weight = _checked_arrays(distance_m, weights)
    inside = (distance >= left_m) & (distance <= right_m)
    return ExactDistances(distance[inside], weight[inside], left_m, right_m, int((~inside).sum()))


def _check_cutpoints(edges_m: Floats) -> None:
    """Requires at least two finite, rising cutpoints >= 0 m."""
    if edges_m.ndim != 1 or len(edges_m) < 2 or not np.isfinite(edges_m).all() or not (np.diff(edges_m) > 0).all():
        raise InputError(
            f"expected at least two rising cutpoints in metres, such as 2, 3, 5, 8, got {edges_m.tolist()}; correct them"
        )
    _check_truncation(float(edges_m[0]), float(edges_m[-1]))


def _check_truncation(left_m: float, right_m: float) -> None:
    if not 0.0 <= left_m < right_m < np.inf:
        raise InputError(
            f"expected a truncation with 0 <= left < right metres, got left {left_m:g} and right {right_m:g}; correct them"
        )


def _check_distances(distance_m: Floats, weights: Floats) -> None:
    """Requires finite distances >= 0, each with a finite weight > 0."""
    if distance_m.ndim != 1 or weights.shape != distance_m.shape:
        raise InputError(
            f"expected a list of distances and a weight for each, got shapes {distance_m.shape} and {weights.shape}"
        )
    invalid = distance_m[~(np.isfinite(distance_m) & (distance_m >= 0))]
    if len(invalid):
        raise InputError(
            f"expected distances in metres >= 0, got {len(invalid)} others, such as {invalid[0]:g}; correct or remove those "
            "rows"
        )
    weightless = weights[~(np.isfinite(weights) & (weights > 0))]
    if len(weightless):
        raise InputError(
            f"expected weights above 0, got {len(weightless)} others, such as {weightless[0]:g}; remove observations that "
            "don't count"
        )


def _checked_arrays(distance_m: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    distance = np.asarray(distance_m, np.float64)
    weight = np.ones_like(distance) if weights is None else np.asarray(weights, np.float64)
    _check_distances(distance, weight)
    return distance, weight


def _no_detection_message(left_m: float, right_m: float, n_outside: int) -> str:
    return (
        f"no detection between {left_m:g} and {right_m:g} m ({n_outside} outside), so there is nothing to estimate; check "
        "that distances are in metres, and check the species, the cutpoints and the truncation"
    )
