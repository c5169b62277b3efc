"""Where an animal's boxes agree with each other: boxes of something else come and go, or never move.

A detector's best box of a second shows something else in one of four seconds of simtrap. Means over neighbours in time that
leave such boxes out are closer to the animal, and how far a box lies from them says whether it shows the animal at all.
"""

from __future__ import annotations

import numpy as np

from trapmeter.boxmodel.box_groups import BoxGroups, Columns, Floats
from trapmeter.geometry import iou

Values = dict[str, Floats]

WIDTHS_S = (3, 12)
"""Standard deviations of the Gaussians that weight neighbours, seconds."""
MAX_NEIGHBOURS = 30
"""On each side."""
HALF_AT = {"cx": 0.12, "y2": 0.08, "log_h": 0.3}
"""A box that differs this much from the mean of its neighbours has half the weight."""
AVERAGED = (*HALF_AT, "log_w")
ROUNDS = 4
SCORE_FLOOR = 0.02
MIN_WEIGHT = 1e-3
SAME_BOX_IOU = 0.6
MAX_COMPARED = 4000
"""Boxes of a site that others are compared with. Bounds the work at sites with many thousands."""
ROWS_PER_BLOCK = 500


def robust_features(groups: BoxGroups, columns: Columns, own: Values) -> Values:
    """Means of place and size over neighbours in time and the box itself, and how much each box agrees with them (0..1).

    Iteratively reweighted, with Cauchy's weights (Holland and Welsch 1977).
    """
    stacked = np.nan_to_num(np.stack([own[name] for name in AVERAGED], axis=1))
    scale = np.array(list(HALF_AT.values()))
    sure = np.where(columns.is_boxed, np.nan_to_num(own["score"]) + SCORE_FLOOR, 0.0)
    values: Values = {}
    for width in WIDTHS_S:
        agreement = np.ones(len(sure))
        for _ in range(ROUNDS):
            weight = sure * agreement
            sums, total = _sums_over_neighbours(groups, columns.time_s, width, weight, stacked)
            has_others = total > 0
            others = sums / np.where(has_others, total, 1.0)[:, None]
            distance = (((stacked - others)[:, : len(scale)] / scale) ** 2).sum(axis=1)
            agreement = np.where(has_others, 1 / (1 + distance), 0.5)
        weight = sure * agreement
        with_own = total + weight
        with_own[with_own == 0] = np.nan
        mean = (sums + stacked * weight[:, None]) / with_own[:, None]
        values |= {f"robust{width}_{name}": mean[:, j] for j, name in enumerate(AVERAGED)}
        values[f"robust{width}_agreement"] = np.where(columns.is_boxed, agreement, np.nan)
        values[f"robust{width}_weight"] = np.log(with_own + MIN_WEIGHT)
    for name in HALF_AT:
        values[f"from_robust_{name}"] = own[name] - values[f"robust{WIDTHS_S[0]}_{name}"]
    return values


def _sums_over_neighbours(
    groups: BoxGroups, time_s: Floats, width_s: float, weight: Floats, values: Floats
) -> tuple[Floats, Floats]:
    """Sums of the neighbours' values (n x k) and weights (n), weighted by a Gaussian of the time between them."""
    sums, total = np.zeros_like(values), np.zeros(len(weight))
    for steps in range(MAX_NEIGHBOURS):
        reached = 0
        for first, outward in ((groups.before, -1), (groups.after, 1)):
            found, source = groups.outward_member(first, outward * steps)
            target = np.flatnonzero(found)
            source = source[target]
            near = weight[source] * np.exp(-0.5 * ((time_s[source] - time_s[target]) / width_s) ** 2)
            sums[target] += near[:, None] * values[source]
            total[target] += near
            reached += len(target)
        if not reached:
            break
    return sums, total


def repeated_features(columns: Columns) -> Values:
    """The share of the site's other media, and of the medium's other boxes, that have about the same box (n each)."""
    n = len(columns.box)
    elsewhere, here = np.full(n, np.nan), np.full(n, np.nan)
    boxed = np.flatnonzero(columns.is_boxed)
    for rows in _by_group(boxed, columns.site_index[boxed]):
        media, medium = np.unique(columns.medium[rows], return_inverse=True)
        if len(media) < 2:
            continue
        compared = np.arange(0, len(rows), -(-len(rows) // MAX_COMPARED))
        in_medium = np.eye(len(media), dtype=np.float32)[medium[compared]]
        for start in range(0, len(rows), ROWS_PER_BLOCK):
            block = rows[start : start + ROWS_PER_BLOCK]
            is_same = _is_same(columns, block, rows[compared])
            is_same &= columns.medium[block][:, None] != columns.medium[rows[compared]]
            elsewhere[block] = (is_same.astype(np.float32) @ in_medium > 0).sum(axis=1) / (len(media) - 1)
    for rows in _by_group(boxed, columns.medium[boxed]):
        if len(rows) < 2:
            continue
        for start in range(0, len(rows), ROWS_PER_BLOCK):
            block = rows[start : start + ROWS_PER_BLOCK]
            # Every box is the same as itself.
            here[block] = (_is_same(columns, block, rows).sum(axis=1) - 1) / (len(rows) - 1)
    return {"repeated_elsewhere": elsewhere, "repeated_here": here}


def _by_group(rows: np.ndarray, group: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(group, kind="stable")
    return np.split(rows[order], np.flatnonzero(np.diff(group[order])) + 1) if len(rows) else []


def _is_same(columns: Columns, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return iou(columns.box[first, :4], columns.box[second, :4]) >= SAME_BOX_IOU
