"""Measures the quality of distances: errors, coverage of intervals, and bootstrap intervals of such figures.

Pure functions of one-dimensional arrays with one element per measured animal, in metres unless stated otherwise.
tables/truth.py decides which estimate is compared with which label.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trapmeter.errors import InputError

Numbers = NDArray[np.float64]

BANDS_M = (0.0, 2.0, 4.0, 6.0, 10.0, 15.0, math.inf)
"""The bands of true distance (metres) by which errors are reported."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """The elements with low_m <= true distance < high_m; index holds their positions."""

    low_m: float
    high_m: float
    index: NDArray[np.intp]


def mae(estimate_m: ArrayLike, truth_m: ArrayLike) -> float:
    """Mean absolute error (metres), the competition's score."""
    estimate, truth = _same_length(estimate_m=estimate_m, truth_m=truth_m)
    return float(np.abs(estimate - truth).mean())


def bias(estimate_m: ArrayLike, truth_m: ArrayLike) -> float:
    """Mean of estimate minus truth (metres); positive if estimates are too far."""
    estimate, truth = _same_length(estimate_m=estimate_m, truth_m=truth_m)
    return float((estimate - truth).mean())


def coverage(low_m: ArrayLike, high_m: ArrayLike, truth_m: ArrayLike) -> float:
    """Share (0..1) of truths inside their interval, ends included; ideally 0.9 for 90 % intervals."""
    low, high, truth = _same_length(low_m=low_m, high_m=high_m, truth_m=truth_m)
    return float(((low <= truth) & (truth <= high)).mean())


def mean_width(low_m: ArrayLike, high_m: ArrayLike) -> float:
    """Mean width of the intervals (metres)."""
    low, high = _same_length(low_m=low_m, high_m=high_m)
    return float((high - low).mean())


def median_baseline_mae(truth_m: ArrayLike) -> float:
    """Mean absolute error (metres) of predicting the median of these truths for all: what a model has to beat."""
    (truth,) = _same_length(truth_m=truth_m)
    return float(np.abs(truth - np.median(truth)).mean())


def bootstrap_interval(
    values: ArrayLike,
    groups: Sequence[Hashable],
    *,
    statistic: Callable[[Numbers], float] = np.mean,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic, drawing whole groups with replacement.

    Rows of a site are similar, so drawing single rows would give far too narrow an interval (Efron & Tibshirani 1993,
    ch. 8). The same seed gives the same interval.

    Args:
        values: n numbers, or n rows of numbers if the statistic takes several columns; any unit.
        groups: n labels, such as site ids.
        statistic: returns a number for drawn values, which have the shape of values except for their number.
        level: share of the draws inside the interval, 0..1.
        draws: number of resamples.
        seed: of the random draws.

    Raises:
        InputError: there are no values, or all belong to one group.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0 or len(array) != len(groups):
        raise ValueError(f"expected one group per value, got values of shape {array.shape} and {len(groups)} groups")
    if not len(array):
        raise InputError(
            "an interval needs values, got none; check that estimates and known distances name the same files"
        )
    if not 0.0 < level < 1.0 or draws < 1:
        raise ValueError(f"expected 0 < level < 1 and draws >= 1, got level {level} and {draws} draws")
    positions: dict[Hashable, list[int]] = {}
    for position, group in enumerate(groups):
        positions.setdefault(group, []).append(position)
    if len(positions) < 2:
        raise InputError(
            f"an interval needs at least 2 groups (sites) to draw from, got {len(positions)}; name the sites"
        )
    members = [np.array(rows) for rows in positions.values()]
    rng = np.random.default_rng(seed)
    results = [
        float(statistic(array[np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])]))
        for _ in range(draws)
    ]
    low, high = np.quantile(results, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def by_band(truth_m: ArrayLike, edges_m: Sequence[float]) -> list[Band]:
    """Groups elements by bands of true distance: edges 0, 5, inf give 0 <= d < 5 and 5 <= d. Empty bands are kept.

    Raises:
        ValueError: the edges don't rise, or an element lies outside them.
    """
    (truth,) = _same_length(truth_m=truth_m)
    edges = np.asarray(edges_m, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not (edges[1:] > edges[:-1]).all():
        raise ValueError(f"expected at least two rising edges, got {list(edges_m)}")
    outside = truth[~((truth >= edges[0]) & (truth < edges[-1]))]
    if len(outside):
        raise ValueError(
            f"{len(outside)} distances lie outside the edges, such as {outside[0]:g}; end the edges with inf"
        )
    return [
        Band(float(low), float(high), np.flatnonzero((truth >= low) & (truth < high))) for low, high in pairwise(edges)
    ]


def _same_length(**arrays: ArrayLike) -> list[Numbers]:
    """The arrays as float64; refuses empty arrays and different lengths."""
    numbers = [np.asarray(array, dtype=np.float64) for array in arrays.values()]
    shapes = dict(zip(arrays, (array.shape for array in numbers), strict=True))
    if any(array.ndim != 1 for array in numbers) or len(set(shapes.values())) > 1:
        raise ValueError(f"expected one-dimensional arrays of one length, got {shapes}")
    if not len(numbers[0]):
        raise InputError(
            "there is nothing to compare (0 rows); check that estimates and known distances name the same files and times"
        )
    return numbers
