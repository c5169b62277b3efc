"""What the box model knows of an observation: 1 row of numbers from boxes alone.

Its own box; its animal's boxes through time; the boxes of its site, which tell how the camera looks at the ground. Left
out on purpose: the park, times and counts of rows. They differ between the tables that the model learned from and the
places where it is used (one second or two between rows, photos, one video per site).

Time enters as seconds, never as row counts: the smoothed values weigh neighbours with a bell curve of 2, 6 or 20 s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trapmeter.boxmodel import grouped
from trapmeter.boxmodel.box_groups import BoxGroups, Columns, Flags, Floats, Ints, build_columns, build_groups
from trapmeter.records import Observation

EDGE = 0.004
"""A box that comes this close to the picture's border may be cut off by it (share of the picture)."""
SCORE_FLOOR = 0.02
"""Weight of a box whose score is 0: where all boxes of an animal are doubtful, they are still better than none."""
MAX_NEIGHBOURS = 45
"""To each side. Bounds the work where somebody samples at 30 frames a second."""

SMOOTHING_S = (2, 6, 20)
SMOOTHED = ("y1", "y2", "log_h", "log_w", "log_area", "score")
TRACK_LEVELS = (0, 25, 50, 75, 100)
TRACK_VALUES = ("y1", "y2", "log_h", "log_w", "log_area", "score")
SITE_LEVELS = (5, 25, 50, 75, 95)
GROUND_LINES = {"h_at_y2": ("h", "y2", 0.8), "h_at_cy": ("h", "cy", 0.8), "log_area_at_y2": ("log_area", "y2", 4.0)}
"""Lines through the site's boxes: what is drawn over what, and the slope to start from (median of the tables' sites)."""

STIFFNESS = 0.005
"""Pull to the usual slope, in squared units of the picture per video: a standing spread of 0.07 outweighs it."""
MIN_SLOPE = 0.05
MAX_OTHER_MEDIA = 5
"""Beyond this the number of a site's videos tells how long the camera hung rather than how well it is known."""

Values = dict[str, Floats]


def features(observations: Sequence[Observation]) -> NDArray[np.float32]:
    """Numbers for each observation, n x len(FEATURES), NaN where unknown.

    All observations of a run belong in one call, since they are each other's context. Boxes of another site, or, where
    the site is unknown, of another medium, change nothing. Permuting the observations permutes the rows.
    """
    if not observations:
        return np.empty((0, len(FEATURES)), dtype=np.float32)
    columns, row_of = build_columns(observations)
    values = _values(columns)
    return np.stack([values[name] for name in FEATURES], axis=1).astype(np.float32)[row_of]


def _values(columns: Columns) -> Values:
    groups = build_groups(columns)
    own = _own_box(columns)
    smoothed = _smoothed(groups, columns.time_s, own)
    track = _track(groups, own)
    site = _site(columns, own)
    answer = own | _neighbours(groups, columns.time_s, own) | smoothed | track | site | _ground(columns, own)
    place, count = columns.site_index, int(columns.site_index.max()) + 1
    for name in ("y2", "log_area"):
        answer[f"from_track_{name}"] = own[name] - track[f"track_q50_{name}"]
        answer[f"smooth_from_site_{name}"] = smoothed[f"sure6_{name}"] - site[f"site_even_q50_{name}"]
    for name in ("y2", "log_h", "log_area"):
        answer[f"rank_in_site_{name}"] = grouped.ranks(place, own[name], count)
        answer[f"smooth_rank_in_site_{name}"] = grouped.ranks(place, smoothed[f"sure6_{name}"], count)
        answer[f"rank_in_track_{name}"] = grouped.ranks(groups.of_row, own[name], groups.count)
    return answer


def _own_box(columns: Columns) -> Values:
    x1, y1, x2, y2, score = columns.box.T
    width, height = x2 - x1, y2 - y1
    log_w, log_h = np.log(width), np.log(height)
    boxed = columns.is_boxed
    return {
        "x1": x1, "y1": y1, "x2": x2, "y2": y2, "w": width, "h": height, "log_w": log_w, "log_h": log_h,
        "log_area": log_w + log_h, "log_aspect": log_w - log_h, "cx": (x1 + x2) / 2, "cy": (y1 + y2) / 2,
        "off_axis": np.abs((x1 + x2) / 2 - 0.5), "score": score,
        "cut_sides": np.where(boxed, (x1 < EDGE) * 1.0 + (x2 > 1 - EDGE), np.nan),
        "cut_top": np.where(boxed, y1 < EDGE, np.nan),
        "cut_bottom": np.where(boxed, y2 > 1 - EDGE, np.nan),
    }  # fmt: skip


def _outward_member(groups: BoxGroups, first: Ints, steps: int) -> tuple[Flags, Ints]:
    """The member that stands `steps` further out than `first`: does it belong to the row's group, and its row."""
    position = first + steps
    inside = (position >= 0) & (position < len(groups.member))
    if not len(groups.member):
        return inside, np.zeros_like(position)
    position = np.where(inside, position, 0)
    return inside & (groups.member_group[position] == groups.of_row), groups.member[position]


def _neighbours(groups: BoxGroups, time_s: Floats, own: Values) -> Values:
    """The nearest two boxes before and after, as they are, and how long ago the nearest was."""
    answer: Values = {}
    for side, first, outward in (("before", groups.before, -1), ("after", groups.after, 1)):
        found, row = _outward_member(groups, first, 0)
        answer[f"{side}_gap_s"] = np.where(found, np.abs(time_s[row] - time_s), np.nan)
        for name in ("y2", "log_area", "log_h", "score", "cx"):
            answer[f"{side}_{name}"] = np.where(found, own[name][row], np.nan)
        found, row = _outward_member(groups, first, outward)
        for name in ("y2", "log_area", "log_h"):
            answer[f"{side}2_{name}"] = np.where(found, own[name][row], np.nan)
    return answer


def _smoothed(groups: BoxGroups, time_s: Floats, own: Values) -> Values:
    """Means over neighbours in time and the box itself: smooth* plain, sure* weighted by the detector's score."""
    n = len(time_s)
    stacked = np.stack([own[name] for name in SMOOTHED], axis=1)
    sums = {(kind, width): np.zeros((n, len(SMOOTHED) + 1)) for width in SMOOTHING_S for kind in ("smooth", "sure")}

    def add(to: Ints, source: Ints) -> None:
        value, gap = stacked[source], time_s[source] - time_s[to]
        for width in SMOOTHING_S:
            bell = np.exp(-0.5 * (gap / width) ** 2)
            for kind in ("smooth", "sure"):
                weight = bell if kind == "smooth" else bell * (own["score"][source] + SCORE_FLOOR)
                sums[kind, width][to, :-1] += weight[:, None] * value
                sums[kind, width][to, -1] += weight

    boxed = np.flatnonzero(~np.isnan(own["y2"]))
    add(boxed, boxed)
    for steps in range(MAX_NEIGHBOURS):
        reached = 0
        for first, outward in ((groups.before, -1), (groups.after, 1)):
            found, source = _outward_member(groups, first, outward * steps)
            to = np.flatnonzero(found)
            add(to, source[to])
            reached += len(to)
        if not reached:
            break
    answer: Values = {}
    for (kind, width), total in sums.items():
        # Far from every box the bell is 0 to the last digit; such a row knows nothing.
        weight = np.where(total[:, -1] > 0, total[:, -1], np.nan)
        for j, name in enumerate(SMOOTHED):
            answer[f"{kind}{width}_{name}"] = total[:, j] / weight
    return answer


def _track(groups: BoxGroups, own: Values) -> Values:
    """The animal's boxes over the whole medium."""
    row, group, count = groups.member, groups.member_group, groups.count
    even = np.ones(len(row), dtype=np.int64)
    sure = own["score"][row] + SCORE_FLOOR
    answer: Values = {}
    for name in TRACK_VALUES:
        levels = grouped.quantiles(group, own[name][row], even, count, _shares(TRACK_LEVELS))[groups.of_row]
        answer |= {f"track_q{level}_{name}": levels[:, j] for j, level in enumerate(TRACK_LEVELS)}
        if name != "score":
            answer[f"track_sure_{name}"] = grouped.means(group, own[name][row], sure, count)[groups.of_row]
    ends = grouped.quantiles(group, own["cx"][row], even, count, (0.0, 1.0))[groups.of_row]
    return answer | {"track_reach_cx": ends[:, 1] - ends[:, 0]}


def _site(columns: Columns, own: Values) -> Values:
    """All boxes at the site: site* each alike, site_even* each video alike."""
    place, count = columns.site_index, int(columns.site_index.max()) + 1
    weights = {"site": np.ones(len(place), dtype=np.int64), "site_even": _media_weights(columns)}
    answer: Values = {}
    for kind, weight in weights.items():
        for name in TRACK_VALUES:
            levels = grouped.quantiles(place, own[name], weight, count, _shares(SITE_LEVELS))[place]
            answer |= {f"{kind}_q{level}_{name}": levels[:, j] for j, level in enumerate(SITE_LEVELS)}
    return answer | {"site_other_media": _other_media(columns)}


def _other_media(columns: Columns) -> Floats:
    """How many other media show boxes at the site, up to MAX_OTHER_MEDIA: how far its figures can be trusted."""
    place, medium = columns.site_index, columns.medium
    shows_boxes = np.bincount(medium, columns.is_boxed) > 0
    pairs = np.unique(np.stack([place, medium], axis=1)[columns.is_boxed], axis=0)
    media_at = np.bincount(pairs[:, 0], minlength=int(place.max()) + 1)
    return np.minimum(media_at[place] - shows_boxes[medium], MAX_OTHER_MEDIA).astype(np.float64)


def _ground(columns: Columns, own: Values) -> Values:
    """How boxes grow down the picture at this site, and how this box compares.

    On flat ground an animal's height in the picture grows in proportion to how far below the horizon it stands
    (height of animal / height of camera), so the line through whole boxes tells where the horizon is.
    """
    place, count = columns.site_index, int(columns.site_index.max()) + 1
    is_whole = columns.is_boxed & (own["cut_top"] == 0) & (own["cut_bottom"] == 0)
    weight = np.where(is_whole, (own["score"] + SCORE_FLOOR) * _media_weights(columns) / grouped.WEIGHT_UNITS, 0.0)
    answer: Values = {}
    for label, (over, along, usual_slope) in GROUND_LINES.items():
        mean_x, mean_y, slope = grouped.line(place, own[along], own[over], weight, count, usual_slope, STIFFNESS)
        expected = mean_y[place] + slope[place] * (own[along] - mean_x[place])
        answer[f"ground_{label}_slope"] = slope[place]
        answer[f"ground_{label}"] = expected
        answer[f"from_ground_{label}"] = own[over] - expected
        if label == "h_at_y2":
            horizon = mean_x - mean_y / np.maximum(slope, MIN_SLOPE)
            answer["horizon"] = horizon[place]
            answer["below_horizon"] = own["y2"] - horizon[place]
    return answer


def _media_weights(columns: Columns) -> Ints:
    return grouped.equal_shares(columns.medium, columns.is_boxed.astype(np.float64))


def _shares(percentages: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(level / 100 for level in percentages)


_EXAMPLE = Observation("", 0.0)
FEATURES: tuple[str, ...] = tuple(_values(build_columns([_EXAMPLE])[0]))
"""The names, in the order of the columns."""
