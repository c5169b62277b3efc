"""Where an animal's boxes agree with each other: boxes of something else come and go, or never move.

A detector's best box of a second shows something else in one of four seconds of simtrap. Means over neighbours in time that
leave such boxes out are closer to the animal, and how far a box lies from them says whether it shows the animal at all.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from trapmeter.boxmodel.box_groups import BoxGroups, Columns, Flags, Floats, Ints
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
MAX_COMPARED = 1200
"""Boxes of a site or medium that others are compared with. Bounds the work where there are many thousands."""
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
    """The share of the site's other media, and of the medium's other boxes, that have about the same box (n each).

    At sites and in media with many boxes, boxes are compared with a part of them, evenly chosen by place.
    """
    n = len(columns.box)
    elsewhere, here = np.full(n, np.nan), np.full(n, np.nan)
    boxed = np.flatnonzero(columns.is_boxed)
    for rows in _by_group(boxed, columns.site_index[boxed]):
        compared = _part_of(columns, rows)
        media = columns.medium[compared]
        starts = np.flatnonzero(np.diff(media, prepend=-1))
        for block in _blocks(rows):
            is_same = _is_same(columns, block, compared)
            is_own = columns.medium[block][:, None] == media[starts]
            n_others = len(starts) - is_own.sum(axis=1)
            found = np.logical_or.reduceat(is_same, starts, axis=1) & ~is_own
            elsewhere[block] = found.sum(axis=1) / np.where(n_others > 0, n_others, np.nan)
    for rows in _by_group(boxed, columns.medium[boxed]):
        compared = _part_of(columns, rows)
        for block in _blocks(rows):
            # A box is the same as itself.
            is_own = np.isin(block, compared)
            n_others = len(compared) - is_own
            found = _is_same(columns, block, compared).sum(axis=1) - is_own
            here[block] = found / np.where(n_others > 0, n_others, np.nan)
    return {"repeated_elsewhere": elsewhere, "repeated_here": here}


def _part_of(columns: Columns, rows: Ints) -> Ints:
    """At most MAX_COMPARED of the rows, sorted by medium. Which ones depends on the boxes alone, not on names or order."""
    if len(rows) > MAX_COMPARED:
        order = np.lexsort((columns.time_s[rows], *columns.box[rows].T))
        rows = rows[order][:: -(-len(rows) // MAX_COMPARED)]
    return rows[np.argsort(columns.medium[rows], kind="stable")]


def _blocks(rows: Ints) -> Iterator[Ints]:
    for start in range(0, len(rows), ROWS_PER_BLOCK):
        yield rows[start : start + ROWS_PER_BLOCK]


def _by_group(rows: Ints, group: Ints) -> list[Ints]:
    if not len(rows):
        return []
    order = np.argsort(group, kind="stable")
    return np.split(rows[order], np.flatnonzero(np.diff(group[order])) + 1)


def _is_same(columns: Columns, first: Ints, second: Ints) -> Flags:
    return np.asarray(iou(columns.box[first, :4], columns.box[second, :4]) >= SAME_BOX_IOU)
