"""Computes statistics within groups, for all groups at once.

NaN values are left out; a group without values yields NaN. Floating-point numbers are never added up across groups, so no
group's result depends on another's. Arrays have length n, one element per row; group: whole numbers 0..count-1.
"""

from __future__ import annotations

import numpy as np

from trapmeter.boxmodel.box_groups import Floats, Ints

WEIGHT_UNITS = 720_720
"""Divisible by 1..16: the weight of each row of a short video is a whole number, so sums of weights are exact."""


def equal_shares(owner: Ints, is_counted: Floats) -> Ints:
    """Whole-number weights with about the same sum for each owner: a long video counts as much as a short one."""
    size = np.bincount(owner, is_counted).astype(np.int64)[owner]
    return WEIGHT_UNITS // np.clip(size, 1, WEIGHT_UNITS)


def quantiles(group: Ints, value: Floats, weight: Ints, count: int, levels: tuple[float, ...]) -> Floats:
    """Weighted quantiles, count x len(levels), interpolated between the midpoints of the values' weights."""
    result = np.full((count, len(levels)), np.nan)
    known = ~np.isnan(value)
    if not known.any():
        return result
    group, value, weight = group[known], value[known], weight[known]
    order = np.lexsort((weight, value, group))
    group, value, weight = group[order], value[order], weight[order]
    size = np.bincount(group, minlength=count)
    filled = np.flatnonzero(size)
    start = np.concatenate([[0], np.cumsum(size)[:-1]])
    summed = np.cumsum(weight)
    before_group = (summed - weight)[start[filled]]
    total = np.zeros(count, dtype=np.int64)
    total[filled] = np.add.reduceat(weight, start[filled])
    base = np.zeros(count, dtype=np.int64)
    base[filled] = before_group
    position = (2 * (summed - base[group]) - weight) / (2 * total[group])
    first, last = start[filled], start[filled] + size[filled] - 1
    for j, level in enumerate(levels):
        below = np.bincount(group, position < level, minlength=count).astype(np.int64)[filled]
        high = np.minimum(first + below, last)
        low = np.maximum(first + below - 1, first)
        gap = position[high] - position[low]
        share = np.clip((level - position[low]) / np.where(gap > 0, gap, 1.0), 0.0, 1.0)
        result[filled, j] = value[low] + share * (value[high] - value[low])
    return result


def means(group: Ints, value: Floats, weight: Floats, count: int) -> Floats:
    """Weighted means, length count."""
    known = ~np.isnan(value) & (weight > 0)
    total = np.bincount(group[known], weight[known] * value[known], count)
    return np.divide(total, _sums(group[known], weight[known], count))


def ranks(group: Ints, value: Floats, count: int) -> Floats:
    """The rank of each value in its group, 0 (lowest) to 1 (highest); equal values share their mean rank."""
    result = np.full(len(value), np.nan)
    known = np.flatnonzero(~np.isnan(value))
    order = known[np.lexsort((value[known], group[known]))]
    sorted_group, sorted_value = group[order], value[order]
    size = np.bincount(sorted_group, minlength=count)
    start = np.concatenate([[0], np.cumsum(size)[:-1]])
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (np.diff(sorted_group) != 0) | (np.diff(sorted_value) != 0)
    run = np.cumsum(is_new) - 1
    length = np.bincount(run) if len(order) else np.zeros(0, dtype=np.int64)
    run_start = np.flatnonzero(is_new)[run]
    result[order] = (run_start - start[sorted_group] + length[run] / 2) / size[sorted_group]
    return result


def line(  # noqa: PLR0917
    group: Ints, x: Floats, y: Floats, weight: Floats, count: int, prior_slope: float, stiffness: float
) -> tuple[Floats, Floats, Floats]:
    """A weighted line y = mean_y + slope (x - mean_x) per group: mean_x, mean_y and slope, each of length count.

    The slope is shrunk towards prior_slope, strongly if a group has few values or little spread in x.
    """
    known = weight > 0
    g, w = group[known], weight[known]
    total = _sums(g, w, count)
    mean_x = np.bincount(g, w * x[known], count) / total
    mean_y = np.bincount(g, w * y[known], count) / total
    dx, dy = x[known] - mean_x[g], y[known] - mean_y[g]
    prior = stiffness * (total + 0.5)
    slope = (np.bincount(g, w * dx * dy, count) + prior_slope * prior) / (np.bincount(g, w * dx * dx, count) + prior)
    return mean_x, mean_y, slope


def _sums(group: Ints, weight: Floats, count: int) -> Floats:
    """Sums of weights; NaN instead of 0."""
    total = np.bincount(group, weight, count)
    return np.where(total > 0, total, np.nan)
