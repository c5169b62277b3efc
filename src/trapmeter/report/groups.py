"""Distances by site, by species, and by day and night, as small histograms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from trapmeter.records import Estimate
from trapmeter.report.distance_statistics import LAST_BIN_M, distances_m, histogram
from trapmeter.report.html_page import printable
from trapmeter.report.plots import BLUE, GREY, INK
from trapmeter.report.words import counted
from trapmeter.tables.species_names import english_name

MAX_GROUPS = 12
"""At most this many groups are drawn: those with the most measurements. A note counts the others."""
DAY, NIGHT, UNKNOWN_LIGHT = "Day", "Night", "Unknown"


@dataclass(frozen=True, slots=True)
class DistanceGroup:
    """The distances of some of the rows: n distances in n_media media, with their quartiles (metres).

    counts: see `trapmeter.report.distance_statistics.histogram`.
    """

    name: str
    n: int
    n_media: int
    quartiles_m: tuple[float, float, float]
    counts: tuple[int, ...]

    @property
    def shares(self) -> list[float]:
        """The share (0..1) of the measurements in each bin."""
        return [count / self.n for count in self.counts]


@dataclass(frozen=True, slots=True)
class DistanceGroups:
    """Groups to draw beside each other, and how many groups and rows are left out."""

    shown: tuple[DistanceGroup, ...]
    n_omitted: int = 0
    n_rows_omitted: int = 0

    @property
    def n_bins(self) -> int:
        """The number of bins of the longest histogram."""
        return max(len(group.counts) for group in self.shown)

    @property
    def top(self) -> float:
        """The highest share in any bin, which scales all histograms."""
        return max(max(group.shares) for group in self.shown)


def quartiles(values_m: Sequence[float]) -> tuple[float, float, float]:
    """The 25 %, 50 % and 75 % quantiles; needs at least one distance."""
    low, middle, high = np.quantile(np.asarray(values_m, np.float64), [0.25, 0.5, 0.75]).tolist()
    return low, middle, high


def group_by_site(estimates: Sequence[Estimate]) -> DistanceGroups | None:
    """The sites with the most measurements first; None if no row has a site. Rows without a site form a group."""
    groups = _grouped(estimates, lambda estimate: estimate.observation.site_id)
    if set(groups) <= {""}:
        return None
    return _largest({str(name or "(no site)"): rows for name, rows in groups.items()})


def group_by_species(estimates: Sequence[Estimate]) -> DistanceGroups | None:
    """The species with the most measurements first; None if no row has a species."""
    groups = _grouped(estimates, lambda estimate: estimate.observation.species)
    if set(groups) <= {""}:
        return None
    return _largest({_species_text(str(name)): rows for name, rows in groups.items()})


def _species_text(species: str) -> str:
    english = english_name(species)
    return f"{species} ({english})" if english else species or "(unknown)"


def group_by_light(estimates: Sequence[Estimate]) -> DistanceGroups | None:
    """Day, night and unknown, in this order; None if it is unknown for all rows."""
    names = {False: DAY, True: NIGHT, None: UNKNOWN_LIGHT}
    groups = _grouped(estimates, lambda estimate: estimate.observation.is_night)
    if set(groups) <= {None}:
        return None
    return DistanceGroups(tuple(_group(name, groups[light]) for light, name in names.items() if light in groups))


GroupKey = Callable[[Estimate], Hashable]


def _grouped(estimates: Sequence[Estimate], key: GroupKey) -> dict[Hashable, list[Estimate]]:
    groups: dict[Hashable, list[Estimate]] = defaultdict(list)
    for estimate in estimates:
        if estimate.distance is not None:
            groups[key(estimate)].append(estimate)
    return groups


def _largest(groups: dict[str, list[Estimate]]) -> DistanceGroups:
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    omitted = ordered[MAX_GROUPS:]
    shown = tuple(_group(name, rows) for name, rows in ordered[:MAX_GROUPS])
    return DistanceGroups(shown, len(omitted), sum(len(rows) for _, rows in omitted))


def _group(name: str, rows: Sequence[Estimate]) -> DistanceGroup:
    metres = distances_m(rows)
    n_media = len({estimate.observation.media_id for estimate in rows})
    return DistanceGroup(name, len(metres), n_media, quartiles(metres), tuple(histogram(metres)))


def groups_note(groups: DistanceGroups) -> str:
    """The text above the small histograms of groups."""
    note = "The share of measurements in each metre, all on the same scale. The dashed line is the median."
    if groups.n_omitted:
        n_rows = counted(groups.n_rows_omitted, "measurement", "measurements")
        note += f" Only the {len(groups.shown)} largest are shown; {groups.n_omitted:,} more have {n_rows} in total."
    return note


WIDTH, HEIGHT = 176, 92
_LEFT, _RIGHT, _TOP, _BASE = 6.0, 170.0, 6.0, 76.0
MIN_BINS = 5


def group_histograms(groups: DistanceGroups) -> list[tuple[DistanceGroup, str]]:
    """Each group with its histogram; all have the same axes, which makes them comparable."""
    n_bins = max(groups.n_bins, MIN_BINS)
    return [(group, group_histogram_svg(group, n_bins, groups.top)) for group in groups.shown]


def group_histogram_svg(group: DistanceGroup, n_bins: int, top: float) -> str:
    """The share of a group's measurements in each metre as SVG, with a line at the median. top: the share of full height."""
    step = (_RIGHT - _LEFT) / n_bins
    low, middle, high = group.quartiles_m
    bars = "".join(
        f'<rect x="{_LEFT + i * step + 0.05 * step:.1f}" y="{_y(share, top):.1f}" width="{0.9 * step:.1f}" '
        f'height="{_BASE - _y(share, top):.1f}"/>'
        for i, share in enumerate(group.shares)
        if share
    )
    at = _LEFT + min(middle, n_bins) * step
    ticks = "".join(
        f'<text x="{_LEFT + (metres + (0.5 if metres == LAST_BIN_M else 0)) * step:.1f}" y="{HEIGHT - 4}">'
        f"{metres}{'+' if metres == LAST_BIN_M else ''}</text>"
        for metres in range(0, n_bins + 1, 5)
        if metres < n_bins or n_bins <= LAST_BIN_M
    )
    label = (
        f"Histogram of {group.n:,} distances, {group.name}: median {middle:.1f} m, half between {low:.1f} and "
        f"{high:.1f} m"
    )
    return (
        f'<svg role="img" aria-label="{escape(printable(label))}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f'<g fill="{BLUE}">{bars}</g>'
        f'<path d="M{_LEFT} {_BASE}H{_RIGHT}" stroke="{GREY}" fill="none"/>'
        f'<path d="M{at:.1f} {_TOP}V{_BASE}" stroke="{INK}" stroke-dasharray="3 2" fill="none"/>'
        f'<g fill="{INK}" font-size="10" text-anchor="middle">{ticks}</g></svg>'
    )


def _y(share: float, top: float) -> float:
    return _BASE - (_BASE - _TOP) * share / top
