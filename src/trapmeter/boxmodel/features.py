"""Computes the box model's input: a row of numbers for each observation.

Where the lens is known, boxes are those that a usual lens would show, so that a model learns from one lens what it then
knows of all. They describe its own box, its animal's boxes through time, and the boxes of its site, which show how the
camera views the ground. The park, times and counts of rows are left out on purpose, since they differ between the training
tables and the surveys where the model is used (one second or two between rows, photos, one video per site).

Time enters in seconds, never in rows: smoothed values weight neighbours by a Gaussian with a width of 2, 6 or 20 s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trapmeter.boxmodel import grouped
from trapmeter.boxmodel.box_groups import (
    BoxGroups,
    Columns,
    Floats,
    Floats32,
    Ints,
    build_columns,
    build_groups,
)
from trapmeter.boxmodel.fact_features import fact_features
from trapmeter.boxmodel.robust_track import repeated_features, robust_features
from trapmeter.facts import Facts
from trapmeter.records import Observation

USUAL_HFOV_DEG, USUAL_ASPECT = 45.0, 16 / 9
"""Trail cameras have 38 to 55 degrees. The lenses of the Deep Chimpact tables are unknown, and taken for these."""
USUAL_TAN = float(np.tan(np.radians(USUAL_HFOV_DEG) / 2))
EDGE = 0.004
"""A box this close to the picture's border may be cut off (share of the picture)."""
SCORE_FLOOR = 0.02
"""Weight of a box whose score is 0: if all boxes of an animal are doubtful, they are still better than none."""
MAX_NEIGHBOURS = 45
"""On each side. Bounds the work if frames are sampled 30 times a second."""

SMOOTHING_S = (2, 6, 20)
SMOOTHED = ("y1", "y2", "log_h", "log_w", "log_area", "score")
TRACK_LEVELS = (0, 25, 50, 75, 100)
TRACK_VALUES = ("y1", "y2", "log_h", "log_w", "log_area", "score")
SITE_LEVELS = (5, 25, 50, 75, 95)
GROUND_LINES = {"h_at_y2": ("h", "y2", 0.8), "h_at_cy": ("h", "cy", 0.8), "log_area_at_y2": ("log_area", "y2", 4.0)}
"""Lines through the site's boxes: y, x, and the prior slope (median over the sites of the Deep Chimpact tables)."""

STIFFNESS = 0.005
"""Weight of the prior slope, in squared picture heights per video: a standard deviation of 0.07 outweighs it."""
MIN_SLOPE = 0.05
MAX_OTHER_MEDIA = 5
"""Above this, the number of a site's videos says how long the camera ran, not how well its view is known."""

Values = dict[str, Floats]


def features(observations: Sequence[Observation], facts: Sequence[Facts] = ()) -> Floats32:
    """Features of each observation, n x len(FEATURES), NaN where unknown. facts: of each observation, or none at all.

    All observations of a run belong in one call, since they are each other's context. Boxes of another site (or of another
    medium, if the site is unknown) change nothing. Permuting the observations permutes the rows.
    """
    if not observations:
        return np.empty((0, len(FEATURES)), dtype=np.float32)
    columns, row_of = build_columns(observations, facts)
    values = _values(columns)
    return np.stack([values[name] for name in FEATURES], axis=1).astype(np.float32)[row_of]


def _values(columns: Columns) -> Values:
    groups = build_groups(columns)
    own = _own_box(columns)
    smoothed = _smoothed(groups, columns.time_s, own)
    track = _track(groups, own)
    site = _site(columns, own)
    values = own | _neighbours(groups, columns.time_s, own) | smoothed | track | site | _ground(columns, own)
    site_index, n_sites = columns.site_index, columns.n_sites
    for name in ("y2", "log_area"):
        values[f"from_track_{name}"] = own[name] - track[f"track_q50_{name}"]
        values[f"smooth_from_site_{name}"] = smoothed[f"sure6_{name}"] - site[f"site_even_q50_{name}"]
    values |= robust_features(groups, columns, own) | repeated_features(columns)
    values |= fact_features(columns, values, USUAL_TAN / USUAL_ASPECT)
    for name in ("y2", "log_h", "log_area"):
        values[f"rank_in_site_{name}"] = grouped.ranks(site_index, own[name], n_sites)
        values[f"smooth_rank_in_site_{name}"] = grouped.ranks(site_index, smoothed[f"sure6_{name}"], n_sites)
        values[f"rank_in_track_{name}"] = grouped.ranks(groups.of_row, own[name], groups.count)
    return values


def _own_box(columns: Columns) -> Values:
    """The row's box as USUAL_HFOV_DEG would show it. Only what the picture's border cuts is of the box as it is."""
    x1, x2 = _through_usual_lens(columns, columns.box[:, [0, 2]].T, is_vertical=False)
    y1, y2 = _through_usual_lens(columns, columns.box[:, [1, 3]].T, is_vertical=True)
    left, top, right, bottom, score = columns.box.T
    width, height = x2 - x1, y2 - y1
    log_w, log_h = np.log(width), np.log(height)
    boxed = columns.is_boxed
    return {
        "x1": x1, "y1": y1, "x2": x2, "y2": y2, "w": width, "h": height, "log_w": log_w, "log_h": log_h,
        "log_area": log_w + log_h, "log_aspect": log_w - log_h, "cx": (x1 + x2) / 2, "cy": (y1 + y2) / 2,
        "off_axis": np.abs((x1 + x2) / 2 - 0.5), "score": score,
        "cut_sides": np.where(boxed, (left < EDGE) * 1.0 + (right > 1 - EDGE), np.nan),
        "cut_top": np.where(boxed, top < EDGE, np.nan),
        "cut_bottom": np.where(boxed, bottom > 1 - EDGE, np.nan),
    }  # fmt: skip


def _through_usual_lens(columns: Columns, places: Floats, *, is_vertical: bool) -> Floats:
    """Places (... x n, fractions of the picture) as a lens of USUAL_HFOV_DEG shows them in a 16:9 picture.

    Unchanged where the lens is unknown. They may lie beyond that picture.
    """
    scale = np.tan(np.radians(columns.fact("hfov_deg")) / 2) / USUAL_TAN
    if is_vertical:
        aspect = columns.fact("aspect_ratio")
        scale = scale * USUAL_ASPECT / np.where(np.isnan(aspect), USUAL_ASPECT, aspect)
    return 0.5 + (places - 0.5) * np.where(np.isnan(scale), 1.0, scale)


def _neighbours(groups: BoxGroups, time_s: Floats, own: Values) -> Values:
    """The nearest two boxes before and after, and the time to the nearest."""
    values: Values = {}
    for side, first, outward in (("before", groups.before, -1), ("after", groups.after, 1)):
        found, row = groups.outward_member(first, 0)
        values[f"{side}_gap_s"] = np.where(found, np.abs(time_s[row] - time_s), np.nan)
        for name in ("y2", "log_area", "log_h", "score", "cx"):
            values[f"{side}_{name}"] = np.where(found, own[name][row], np.nan)
        found, row = groups.outward_member(first, outward)
        for name in ("y2", "log_area", "log_h"):
            values[f"{side}2_{name}"] = np.where(found, own[name][row], np.nan)
    return values


def _smoothed(groups: BoxGroups, time_s: Floats, own: Values) -> Values:
    """Means over neighbours in time and the box itself: smooth* by time alone, sure* also by the detector's score."""
    n = len(time_s)
    stacked = np.stack([own[name] for name in SMOOTHED], axis=1)
    sums = {(kind, width): np.zeros((n, len(SMOOTHED) + 1)) for width in SMOOTHING_S for kind in ("smooth", "sure")}

    def add(target: Ints, source: Ints) -> None:
        value, gap = stacked[source], time_s[source] - time_s[target]
        for width in SMOOTHING_S:
            gaussian = np.exp(-0.5 * (gap / width) ** 2)
            for kind in ("smooth", "sure"):
                weight = gaussian if kind == "smooth" else gaussian * (own["score"][source] + SCORE_FLOOR)
                sums[kind, width][target, :-1] += weight[:, None] * value
                sums[kind, width][target, -1] += weight

    boxed = np.flatnonzero(~np.isnan(own["y2"]))
    add(boxed, boxed)
    for steps in range(MAX_NEIGHBOURS):
        reached = 0
        for first, outward in ((groups.before, -1), (groups.after, 1)):
            found, source = groups.outward_member(first, outward * steps)
            target = np.flatnonzero(found)
            add(target, source[target])
            reached += len(target)
        if not reached:
            break
    values: Values = {}
    for (kind, width), total in sums.items():
        # Far from every box, the Gaussian is exactly 0: the mean is unknown.
        weight = np.where(total[:, -1] > 0, total[:, -1], np.nan)
        for j, name in enumerate(SMOOTHED):
            values[f"{kind}{width}_{name}"] = total[:, j] / weight
    return values


def _track(groups: BoxGroups, own: Values) -> Values:
    """Statistics of the animal's boxes in its medium."""
    row, group, count = groups.member, groups.member_group, groups.count
    even = np.ones(len(row), dtype=np.int64)
    sure = own["score"][row] + SCORE_FLOOR
    values: Values = {}
    for name in TRACK_VALUES:
        levels = grouped.quantiles(group, own[name][row], even, count, _shares(TRACK_LEVELS))[groups.of_row]
        values |= {f"track_q{level}_{name}": levels[:, j] for j, level in enumerate(TRACK_LEVELS)}
        if name != "score":
            values[f"track_sure_{name}"] = grouped.means(group, own[name][row], sure, count)[groups.of_row]
    ends = grouped.quantiles(group, own["cx"][row], even, count, (0.0, 1.0))[groups.of_row]
    return values | {"track_reach_cx": ends[:, 1] - ends[:, 0]}


def _site(columns: Columns, own: Values) -> Values:
    """Statistics of all boxes at the site: site* weights boxes equally, site_even* weights videos equally."""
    site_index, n_sites = columns.site_index, columns.n_sites
    weights = {"site": np.ones(len(site_index), dtype=np.int64), "site_even": _media_weights(columns)}
    values: Values = {}
    for kind, weight in weights.items():
        for name in TRACK_VALUES:
            levels = grouped.quantiles(site_index, own[name], weight, n_sites, _shares(SITE_LEVELS))[site_index]
            values |= {f"{kind}_q{level}_{name}": levels[:, j] for j, level in enumerate(SITE_LEVELS)}
    return values | {"site_other_media": _other_media(columns)}


def _other_media(columns: Columns) -> Floats:
    """Number of other media with boxes at the site, up to MAX_OTHER_MEDIA: how far its statistics can be trusted."""
    site_index, medium = columns.site_index, columns.medium
    has_boxes = np.bincount(medium, columns.is_boxed) > 0
    pairs = np.unique(np.stack([site_index, medium], axis=1)[columns.is_boxed], axis=0)
    n_media = np.bincount(pairs[:, 0], minlength=columns.n_sites)
    return np.minimum(n_media[site_index] - has_boxes[medium], MAX_OTHER_MEDIA).astype(np.float64)


def _ground(columns: Columns, own: Values) -> Values:
    """How boxes grow down the picture at this site, and how this box compares.

    On flat ground, an animal's height in the picture is proportional to how far below the horizon it stands (by the height of
    the animal / height of the camera), so the line through complete boxes shows where the horizon is.
    """
    site = columns.site_index
    is_complete = columns.is_boxed & (own["cut_top"] == 0) & (own["cut_bottom"] == 0)
    weight = np.where(is_complete, (own["score"] + SCORE_FLOOR) * _media_weights(columns) / grouped.WEIGHT_UNITS, 0.0)
    values: Values = {}
    for label, (y, x, prior_slope) in GROUND_LINES.items():
        mean_x, mean_y, slope = grouped.line(site, own[x], own[y], weight, columns.n_sites, prior_slope, STIFFNESS)
        expected = mean_y[site] + slope[site] * (own[x] - mean_x[site])
        values[f"ground_{label}_slope"] = slope[site]
        values[f"ground_{label}"] = expected
        values[f"from_ground_{label}"] = own[y] - expected
        if label == "h_at_y2":
            horizon = mean_x - mean_y / np.maximum(slope, MIN_SLOPE)
            values["horizon"] = horizon[site]
            values["below_horizon"] = own["y2"] - horizon[site]
    return values


def _media_weights(columns: Columns) -> Ints:
    return grouped.equal_shares(columns.medium, columns.is_boxed.astype(np.float64))


def _shares(percentages: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(level / 100 for level in percentages)


_EXAMPLE = Observation("", 0.0)
FEATURES: tuple[str, ...] = tuple(_values(build_columns([_EXAMPLE])[0]))
"""The names of the columns, in their order."""
