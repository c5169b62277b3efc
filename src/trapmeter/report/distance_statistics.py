"""Statistics of the estimated distances: spread, histogram, typical intervals, figures of each site."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trapmeter.prediction.estimates import summarise_run
from trapmeter.records import Estimate

LAST_BIN_M = 25
"""All farther animals share one open bin: they are few, and bins of their own would squeeze the others."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The number of distances, their median, and their 10 % and 90 % quantiles (metres)."""

    n: int
    median_m: float
    p10_m: float
    p90_m: float


@dataclass(frozen=True, slots=True)
class IntervalBin:
    """The typical interval at some distance: medians of the n distances in a bin and of their intervals' ends (metres)."""

    n: int
    distance_m: float
    low_m: float
    high_m: float


@dataclass(frozen=True, slots=True)
class SiteFigures:
    """Figures of a site; site_id "" stands for the media without a site.

    n_seconds: seconds with measured animals. n_animals: tracks. spread: None if nothing was measured. n_failed_media: media
    with at least one failed second.
    """

    site_id: str
    n_media: int
    n_seconds: int
    n_animals: int
    spread: Spread | None
    n_failed_media: int


def measured_rows(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The rows with a distance, in their order."""
    return [estimate for estimate in estimates if estimate.distance is not None]


def distances_m(estimates: Sequence[Estimate]) -> list[float]:
    """The distances of the measured rows."""
    return [estimate.distance.distance_m for estimate in estimates if estimate.distance is not None]


def spread_of(values_m: Sequence[float]) -> Spread | None:
    """Median and quantiles; None without any values."""
    if not values_m:
        return None
    p10, median, p90 = np.quantile(np.asarray(values_m, dtype=np.float64), [0.1, 0.5, 0.9])
    return Spread(len(values_m), float(median), float(p10), float(p90))


def histogram(values_m: Sequence[float]) -> list[int]:
    """Counts in bins of 1 m from 0 m up to the farthest distance; bin LAST_BIN_M holds all from there on."""
    bins = [_bin(value) for value in values_m]
    return np.bincount(bins).tolist() if bins else []


def interval_bins(estimates: Sequence[Estimate]) -> list[IntervalBin]:
    """The typical 90 % interval in each bin of the histogram that holds a distance."""
    by_bin: dict[int, list[tuple[float, float, float]]] = defaultdict(list)
    for estimate in estimates:
        if (d := estimate.distance) is not None:
            by_bin[_bin(d.distance_m)].append((d.distance_m, d.low_m, d.high_m))
    bins = []
    for _, rows in sorted(by_bin.items()):
        distance, low, high = np.median(np.array(rows), axis=0).tolist()
        bins.append(IntervalBin(len(rows), distance, low, high))
    return bins


def typical_interval(estimates: Sequence[Estimate]) -> IntervalBin | None:
    """The interval bin nearest to the median distance, as an example; None if nothing was measured."""
    overall = spread_of(distances_m(estimates))
    if overall is None:
        return None
    return min(interval_bins(estimates), key=lambda found: abs(found.distance_m - overall.median_m))


def site_figures(estimates: Sequence[Estimate]) -> list[SiteFigures]:
    """Figures of each site, sorted by site_id, with the media without a site last; [] if no row has a site."""
    by_site: dict[str, list[Estimate]] = defaultdict(list)
    for estimate in estimates:
        by_site[estimate.observation.site_id].append(estimate)
    if set(by_site) <= {""}:
        return []
    return [
        _figures_of_site(site_id, by_site[site_id]) for site_id in sorted(by_site, key=lambda name: (not name, name))
    ]


def _figures_of_site(site_id: str, rows: Sequence[Estimate]) -> SiteFigures:
    measured = measured_rows(rows)
    counts, measured_counts = summarise_run(rows, {}), summarise_run(measured, {})
    return SiteFigures(
        site_id,
        n_media=counts.n_media,
        n_seconds=measured_counts.n_seconds,
        n_animals=measured_counts.n_animals,
        spread=spread_of(distances_m(measured)),
        n_failed_media=counts.n_failed_media,
    )


def _bin(distance_m: float) -> int:
    return min(int(distance_m), LAST_BIN_M)
