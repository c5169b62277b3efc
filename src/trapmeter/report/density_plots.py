"""Draws the plots of the density report, as SVG for HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from trapmeter.density.activity import ActivityCurve
from trapmeter.density.bootstrap import Bootstrap
from trapmeter.density.detection.distances import BinnedDistances, Distances, ExactDistances
from trapmeter.density.detection.fit import DetectionFit
from trapmeter.report.plots import BLUE, GREY, svg_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

CURVE_POINTS = 200
EXACT_BINS = 12
"""Bins of equal width in which exact distances are drawn."""
MAX_QQ_POINTS = 500
MAX_HEIGHT = 4.0
"""Upper end of the axis of a detection function, whose value is 1 at most."""
_BARS = "#b9cdd8"


def _histogram(distances: Distances) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges (bins + 1, metres) and counts (bins) to draw."""
    if isinstance(distances, BinnedDistances):
        return distances.edges_m, distances.counts
    edges = np.linspace(distances.left_m, distances.right_m, EXACT_BINS + 1)
    return edges, np.histogram(distances.distance_m, edges, weights=distances.weights)[0].astype(np.float64)


def detection_svg(fit: DetectionFit, distances: Distances) -> str:
    """The detection function over the histogram, whose bars are divided by the area of each bin and scaled to the function.

    The height of a bar is its count divided by the count expected if all animals were detected: n pdf(r) = c r g(r). With
    measurement error, steps show the counts corrected for it; the curve, which is that of true distances, belongs to these.
    """
    edges, counts = _histogram(distances)
    label = f"Detection function {fit.function.name} over the scaled histogram of {distances.n:,.0f} distances"
    with svg_figure("detection", label) as (figure, result):
        axes = figure.add_subplot()
        scale = fit.rg_integral_m2 / (np.diff(edges**2) / 2)
        heights = counts / distances.n * scale
        _bars(axes, edges, heights, "measured distances")
        top = float(heights.max())
        corrected = _corrected_shares(fit, counts)
        if corrected is not None:
            axes.stairs(corrected * scale, edges, color=GREY, linewidth=1.6, label="corrected for their error")
            top = max(top, float((corrected * scale).max()))
        r = np.linspace(1e-6, fit.right_m, CURVE_POINTS)
        axes.plot(r, fit.g(r), color=BLUE, linewidth=2.0, label="detection function")
        if corrected is not None:
            axes.legend(frameon=False)
        axes.set_ylabel("Share of animals detected")
        _distance_axis(axes, fit.right_m)
        # The nearest ring has almost no area: a few animals there give a tall bar that would compress the rest.
        axes.set_ylim(0, min(max(1.05, top * 1.05), MAX_HEIGHT))
    return result[0]


def _corrected_shares(fit: DetectionFit, counts: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The share of the detections in each bin without measurement error (bins); None if the fit doesn't allow for any.

    It is the share that the fit expects without the error, times the ratio of the observed to the expected measured count.
    """
    if not fit.allows_for_error or fit.chi_square is None:
        return None
    bins = fit.chi_square.bins
    expected = np.array([count.expected for count in bins])
    edges = np.array([*(count.low_m for count in bins), fit.right_m])
    return np.asarray(counts / expected * np.diff(fit.cdf(edges)))


def level_svg(fit: DetectionFit, column: str, curves: Mapping[str, NDArray[np.bool_]]) -> str:
    """The detection functions of the levels of a covariate. curves: the groups of the fit that each level has, by name."""
    label = f"Detection functions by {column}: {', '.join(curves)}"
    with svg_figure("levels", label) as (figure, result):
        axes = figure.add_subplot()
        r = np.linspace(1e-6, fit.right_m, CURVE_POINTS)
        for name, groups in curves.items():
            axes.plot(r, fit.g_of_groups(r, groups), linewidth=1.8, label=name)
        axes.legend(frameon=False)
        axes.set_ylabel("Share of animals detected")
        _distance_axis(axes, fit.right_m)
        axes.set_ylim(0, 1.05)
    return result[0]


def preview_svg(fits: Sequence[DetectionFit], distances: Distances) -> str:
    """Several detection functions over the histogram, scaled as in `detection_svg` to the first; the others are dashed."""
    first = fits[0]
    edges, counts = _histogram(distances)
    radii = ", ".join(f"{fit.function.name} {fit.edr_m:.1f} m" for fit in fits)
    with svg_figure("preview", f"Detection functions over the scaled histogram; effective radius: {radii}") as (
        figure,
        result,
    ):
        axes = figure.add_subplot()
        heights = counts / (np.diff(edges**2) / 2) * first.rg_integral_m2 / distances.n
        _bars(axes, edges, heights)
        r = np.linspace(1e-6, first.right_m, CURVE_POINTS)
        for fit in fits:
            is_first = fit is first
            axes.plot(
                r,
                fit.g(r),
                color=BLUE if is_first else "#a33a2a",
                linewidth=2.0 if is_first else 1.6,
                linestyle="-" if is_first else (0, (4, 3)),
                label=fit.function.name,
            )
        axes.legend(frameon=False)
        axes.set_ylabel("Share of animals detected")
        _distance_axis(axes, first.right_m)
        # The nearest bin has almost no area: a few animals there give a tall, uninformative bar that would compress the rest.
        axes.set_ylim(0, min(max(1.05, float(heights.max()) * 1.05), 2.0))
    return result[0]


def pdf_svg(fit: DetectionFit, distances: Distances) -> str:
    """The probability density of detected distances over their histogram."""
    edges, counts = _histogram(distances)
    label = f"Probability density of detected distances by {fit.function.name} over their histogram"
    with svg_figure("pdf", label) as (figure, result):
        axes = figure.add_subplot()
        _bars(axes, edges, counts / np.diff(edges) / distances.n, "measured distances")
        if fit.allows_for_error and fit.chi_square is not None:
            expected = np.array([count.expected for count in fit.chi_square.bins])
            heights = expected / np.diff(edges) / distances.n
            axes.stairs(heights, edges, color=GREY, linewidth=1.6, label="expected with their error")
        r = np.linspace(fit.left_m, fit.right_m, CURVE_POINTS)
        axes.plot(r, fit.pdf(r), color=BLUE, linewidth=2.0, label="true distances")
        if fit.allows_for_error:
            axes.legend(frameon=False)
        axes.set_ylabel("Probability density (1/m)")
        _distance_axis(axes, fit.right_m)
        axes.set_ylim(bottom=0)
    return result[0]


def qq_svg(fit: DetectionFit, distances: ExactDistances) -> str:
    """Fitted against empirical cumulative probabilities of exact distances (Buckland et al. 2004, section 11.11).

    Equal distances are one point, in the middle of their step.
    """
    metres, inverse = np.unique(distances.distance_m, return_inverse=True)
    weights = np.bincount(inverse, distances.weights)
    empirical, fitted = (np.cumsum(weights) - weights / 2) / distances.n, fit.cdf(metres)
    shown = np.unique(np.linspace(0, len(metres) - 1, MAX_QQ_POINTS).astype(np.intp))
    label = f"Quantile-quantile plot of {distances.n:,.0f} distances under {fit.function.name}"
    with svg_figure("qq", label) as (figure, result):
        axes = figure.add_subplot()
        axes.plot((0, 1), (0, 1), color=GREY, linewidth=1.2)
        axes.plot(empirical[shown], fitted[shown], "o", color=BLUE, markersize=3.0)
        axes.set_xlabel("Empirical cumulative probability")
        axes.set_ylabel("Fitted")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
    return result[0]


def encounter_svg(rates: Sequence[float]) -> str:
    """Detections per thousand snapshots at each station, the highest first."""
    label = (
        f"Detections per 1,000 snapshots at {len(rates):,} stations, {sum(not rate for rate in rates):,} without any"
    )
    with svg_figure("encounter", label) as (figure, result):
        axes = figure.add_subplot()
        axes.bar(range(1, len(rates) + 1), sorted(rates, reverse=True), color=BLUE, width=0.85)
        axes.set_xlabel("Stations, the busiest first")
        axes.set_ylabel("Detections per 1,000 snapshots")
        axes.grid(axis="x", visible=False)
    return result[0]


def activity_svg(activity: ActivityCurve) -> str:
    """The activity curve over the day, as a share of its peak."""
    label = f"Activity over the day from {activity.n:,} times; active {activity.share:.0%} of the time"
    with svg_figure("activity", label) as (figure, result):
        axes = figure.add_subplot()
        share = activity.density / activity.density.max()
        axes.fill_between(activity.hours, share, color=_BARS, linewidth=0)
        axes.plot(activity.hours, share, color=BLUE, linewidth=2.0)
        axes.set_xlim(0, 24)
        axes.set_ylim(0, 1.05)
        axes.set_xticks(range(0, 25, 4))
        axes.set_xlabel("Hour of the day")
        axes.set_ylabel("Share of animals active")
    return result[0]


def bootstrap_svg(bootstrap: Bootstrap, estimate_km2: float) -> str:
    """Densities of the replicates, with the estimate and the limits of the lognormal interval."""
    label = f"Densities of {len(bootstrap.densities):,} bootstrap replicates"
    with svg_figure("bootstrap", label) as (figure, result):
        axes = figure.add_subplot()
        # The end of the tail would compress the rest.
        top = float(np.quantile(bootstrap.densities, 0.995))
        axes.hist([density for density in bootstrap.densities if density <= top], bins=30, color=_BARS)
        for value, style in ((estimate_km2, "-"), (bootstrap.log_low_km2, "--"), (bootstrap.log_high_km2, "--")):
            axes.axvline(value, color=BLUE if style == "-" else GREY, linestyle=style, linewidth=1.6)
        axes.set_xlabel("Animals per km²")
        axes.set_ylabel("Replicates")
        axes.grid(axis="x", visible=False)
    return result[0]


def _bars(axes: Axes, edges: NDArray[np.float64], heights: NDArray[np.float64], label: str = "") -> None:
    bars = axes.bar(
        edges[:-1], heights, width=np.diff(edges), align="edge", color=_BARS, edgecolor="white", linewidth=0.8
    )
    bars.set_label(label)
    axes.grid(axis="x", visible=False)


def _distance_axis(axes: Axes, right_m: float) -> None:
    axes.set_xlabel("Distance from the camera (m)")
    axes.set_xlim(0, right_m)
