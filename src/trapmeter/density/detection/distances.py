"""The distances a detection function is fitted to: exact or binned, truncated and weighted.

Both know their truncation and are checked when made. Every observation may carry a weight: ten draws of where one animal may
have stood count a tenth each, so that counts are sums of weights and need not be whole numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trapmeter.density.detection.measurement_error import ErrorMatrix
from trapmeter.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class BinnedDistances:
    """Counts between cutpoints; the first cutpoint is the left truncation and the last the right one.

    edges_m: rising, bins + 1. counts: one per bin, >= 0, may be fractions. n_outside: observations that were left out because
    they lie beyond the cutpoints. blur: where animals at each distance are measured to be; None takes distances as true.
    """

    edges_m: Floats
    counts: Floats
    n_outside: int = 0
    error_matrix: ErrorMatrix | None = None

    def __post_init__(self) -> None:
        check_cutpoints(self.edges_m)
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
        """How far the detection function reaches: w, or where errors bring animals from beyond w into it, farther, metres."""
        return self.right_m if self.error_matrix is None else self.error_matrix.farthest_m

    @property
    def n(self) -> float:
        """Observations inside the cutpoints: the sum of their weights."""
        return float(self.counts.sum())


@dataclass(frozen=True, slots=True, eq=False)
class ExactDistances:
    """Distances as measured, all with left_m <= distance <= right_m; weights: one each, > 0.

    n_outside: observations that were left out because they lie beyond the truncation.
    """

    distance_m: Floats
    weights: Floats
    left_m: float
    right_m: float
    n_outside: int = 0

    def __post_init__(self) -> None:
        check_truncation(self.left_m, self.right_m)
        check_distances(self.distance_m, self.weights)
        if not len(self.distance_m):
            raise InputError(_no_detection_message(self.left_m, self.right_m, self.n_outside))
        beyond = self.distance_m[(self.distance_m < self.left_m) | (self.distance_m > self.right_m)]
        if len(beyond):
            raise InputError(
                f"expected distances of {self.left_m:g} to {self.right_m:g} m, got {len(beyond)} beyond, as {beyond[0]:g} m; "
                "make them by truncate(), which leaves those out, or move the truncation"
            )

    @property
    def reach_m(self) -> float:
        """How far the detection function reaches: w, metres."""
        return self.right_m

    @property
    def n(self) -> float:
        """Observations: the sum of their weights."""
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
    """Counts distances between cutpoints: edges 2, 3, 5 make the bins 2 <= r < 3 and 3 <= r <= 5.

    Args:
        distance_m: n distances, metres, >= 0. Those beyond the cutpoints are left out and told by `n_outside`.
        edges_m: rising cutpoints, at least two, metres.
        weights: n numbers > 0, usually in 0..1; 1 each when not given.
        left_m: left truncation, metres; the first cutpoint when not given.
        right_m: right truncation, metres; the last cutpoint when not given.

    Raises:
        InputError: a distance is negative or no number, no distance lies inside, or bins don't cover what isn't truncated.
    """
    distance, weight = _checked_arrays(distance_m, weights)
    edges = np.asarray(edges_m, np.float64)
    check_cutpoints(edges)
    ends = (edges[0] if left_m is None else left_m, edges[-1] if right_m is None else right_m)
    if ends != (edges[0], edges[-1]):
        raise InputError(
            f"the cutpoints run from {edges[0]:g} to {edges[-1]:g} m, but the truncation is at {ends[0]:g} and "
            f"{ends[1]:g} m; let the first and the last cutpoint be the truncation"
        )
    number = find_bins(edges, distance)
    inside = number >= 0
    counts = np.bincount(number[inside], weight[inside], minlength=len(edges) - 1).astype(np.float64)
    return BinnedDistances(edges, counts, int((~inside).sum()))


def find_bins(edges_m: Floats, distance_m: Floats) -> NDArray[np.intp]:
    """The bin of each distance (n), counted from 0; -1 beyond the cutpoints. The last bin holds its upper edge too."""
    number = np.minimum(np.searchsorted(edges_m, distance_m, side="right") - 1, len(edges_m) - 2)
    return np.where((distance_m >= edges_m[0]) & (distance_m <= edges_m[-1]), number, -1)


def truncate(
    distance_m: ArrayLike, *, right_m: float, left_m: float = 0.0, weights: ArrayLike | None = None
) -> ExactDistances:
    """Keeps the distances with left_m <= r <= right_m, as they are.

    Args:
        distance_m: n distances, metres, >= 0. Those beyond are left out and told by `n_outside`.
        right_m: right truncation w, metres.
        left_m: left truncation, metres.
        weights: n numbers > 0, usually in 0..1; 1 each when not given.

    Raises:
        InputError: a distance is negative or no number, none lies inside, or left_m >= right_m.
    """
    distance, weight = _checked_arrays(distance_m, weights)
    check_truncation(left_m, right_m)
    inside = (distance >= left_m) & (distance <= right_m)
    return ExactDistances(distance[inside], weight[inside], left_m, right_m, int((~inside).sum()))


def check_cutpoints(edges_m: Floats) -> None:
    """Raises InputError unless these are rising cutpoints from 0 m on."""
    if edges_m.ndim != 1 or len(edges_m) < 2 or not np.isfinite(edges_m).all() or not (np.diff(edges_m) > 0).all():
        raise InputError(
            f"expected at least two rising cutpoints in metres, such as 2, 3, 5, 8, got {edges_m.tolist()}; correct them"
        )
    check_truncation(float(edges_m[0]), float(edges_m[-1]))


def check_truncation(left_m: float, right_m: float) -> None:
    """Raises InputError unless 0 <= left_m < right_m < infinity."""
    if not 0.0 <= left_m < right_m < np.inf:
        raise InputError(
            f"expected a truncation with 0 <= left < right metres, got left {left_m:g} and right {right_m:g}; correct them"
        )


def check_distances(distance_m: Floats, weights: Floats) -> None:
    """Raises InputError unless distances are finite, >= 0 and weighted by one finite number > 0 each."""
    if distance_m.ndim != 1 or weights.shape != distance_m.shape:
        raise InputError(
            f"expected a list of distances and as many weights, got shapes {distance_m.shape} and {weights.shape}"
        )
    wrong = distance_m[~(np.isfinite(distance_m) & (distance_m >= 0))]
    if len(wrong):
        raise InputError(
            f"expected distances in metres >= 0, got {len(wrong)} others, as {wrong[0]:g}; correct or remove those rows"
        )
    light = weights[~(np.isfinite(weights) & (weights > 0))]
    if len(light):
        raise InputError(
            f"expected weights above 0, got {len(light)} others, as {light[0]:g}; remove observations that don't count"
        )


def _checked_arrays(distance_m: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    distance = np.asarray(distance_m, np.float64)
    weight = np.ones_like(distance) if weights is None else np.asarray(weights, np.float64)
    check_distances(distance, weight)
    return distance, weight


def _no_detection_message(left_m: float, right_m: float, n_outside: int) -> str:
    return (
        f"no detection between {left_m:g} and {right_m:g} m ({n_outside} beyond), and without any there is nothing to "
        "estimate; check that distances are in metres, and the species, the cutpoints and the truncation"
    )
