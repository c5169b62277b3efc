"""The plots of a run's report, as SVG: distances, intervals, and comparison with known distances."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from io import StringIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from trapmeter.report.comparison import BandErrors
from trapmeter.report.distance_statistics import LAST_BIN_M, IntervalBin
from trapmeter.report.words import band_text, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE_INCH = (4.8, 3.1)
"""Small, which keeps the letters legible on a phone."""

RASTERISED_ABOVE = 1500
"""More points than this are drawn as pixels: as shapes they would make the file large and slow to scroll."""

BLUE, GREY, INK = "#2f6f8f", "#8a8f98", "#333a44"
# Any, because matplotlib's types list the name of each setting.
_STYLE: Any = {
    "svg.hashsalt": "trapmeter",
    "svg.fonttype": "path",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "grid.color": "#e6e8eb",
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def distances_svg(counts: Sequence[int]) -> str:
    """The number of measurements at each distance. counts: see `trapmeter.report.distance_statistics.histogram`."""
    most = max(range(len(counts)), key=counts.__getitem__)
    label = f"Histogram of {sum(counts):,} distances in bins of 1 m; the largest, {counts[most]:,}, begins at {most} m"
    with svg_figure("histogram", label) as (figure, result):
        from matplotlib.ticker import MaxNLocator, StrMethodFormatter

        axes = figure.add_subplot()
        axes.bar(range(len(counts)), counts, width=0.9, align="edge", color=BLUE)
        axes.set_xlabel("Distance from the camera (m)")
        axes.set_ylabel("Measurements")
        axes.set_xlim(0, max(len(counts), 5))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.grid(axis="x", visible=False)
        if len(counts) > LAST_BIN_M:
            axes.set_xticks([*range(0, LAST_BIN_M, 5), LAST_BIN_M + 0.45])
            axes.set_xticklabels([*map(str, range(0, LAST_BIN_M, 5)), f"{LAST_BIN_M}+"])
    return result[0]


def intervals_svg(bins: Sequence[IntervalBin]) -> str:
    """The typical 90 % interval at each distance, around the line of zero width."""
    with svg_figure("intervals", "Typical 90 % interval at each measured distance") as (figure, result):
        axes = figure.add_subplot()
        x = [found.distance_m for found in bins]
        right = axis_end(x)
        draw_diagonal(axes, right)
        below = [found.distance_m - found.low_m for found in bins]
        above = [found.high_m - found.distance_m for found in bins]
        axes.errorbar(
            x, x, yerr=[below, above], fmt="o", color=BLUE, ecolor=BLUE, elinewidth=2.2, markersize=4.5, alpha=0.9
        )
        axes.set_xlabel("Measured distance (m)")
        axes.set_ylabel("Typical 90 % interval (m)")
        axes.set_xlim(0, right)
        axes.set_ylim(0, axis_end([found.high_m for found in bins]))
    return result[0]


def axis_end(values_m: Sequence[float]) -> float:
    """The end of an axis that starts at 0: a little past the largest value, and never 0."""
    return max(values_m, default=0.0) * 1.05 or 1.0


def draw_diagonal(axes: Axes, top: float) -> None:
    """Draws the dashed line on which both axes agree, from 0 to top."""
    axes.plot([0, top], [0, top], color=GREY, linewidth=1.0, linestyle=(0, (4, 3)))


@contextmanager
def svg_figure(name: str, label: str, size_inch: tuple[float, float] = SIZE_INCH) -> Iterator[tuple[Figure, list[str]]]:
    """A figure to draw on, independent of matplotlibrc; once the block ends, the list holds its SVG.

    name: prefix of the ids in the SVG. label: describes the figure for screen readers.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    result: list[str] = []
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=size_inch, layout="constrained")
        yield figure, result
        file = StringIO()
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=no_metadata, dpi=200)
    result.append(_inline(file.getvalue(), name, label))


def _inline(svg: str, name: str, label: str) -> str:
    """The <svg> element alone, with unique ids and without a style sheet, for a page with several of them."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    for mark in ('id="', 'href="#', "url(#"):
        svg = svg.replace(mark, f"{mark}{name}-")
    start, rest = svg.split(">", 1)
    # The page sets the size. Only the prefixed namespace has to be declared.
    view_box = re.search(r'viewBox="[^"]*"', start)
    assert view_box is not None, "matplotlib writes a viewBox"
    return (
        f'<svg role="img" aria-label="{escape(label)}" {view_box[0]} '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" style="stroke-linejoin: round; stroke-linecap: butt">{rest}'
    )


def truth_svg(pairs_m: Sequence[tuple[float, float]]) -> str:
    """Estimates against truths, with the line of agreement. pairs_m: (truth, estimate) in metres."""
    label = f"{len(pairs_m):,} measured distances against known distances, with the line of agreement"
    with svg_figure("truth", label, (4.0, 3.8)) as (figure, result):
        axes = figure.add_subplot()
        top = axis_end([value for pair in pairs_m for value in pair])
        draw_diagonal(axes, top)
        truth, estimate = np.array(pairs_m).T
        axes.plot(truth, estimate, "o", **_points(len(pairs_m)))
        axes.set_xlabel("Known distance (m)")
        axes.set_ylabel("Measured distance (m)")
        axes.set_xlim(0, top)
        axes.set_ylim(0, top)
        axes.set_aspect("equal")
    return result[0]


def errors_svg(pairs_m: Sequence[tuple[float, float]], edges_m: Sequence[float]) -> str:
    """Errors (measured minus known) by known distance, with band means. edges_m: edges of the bands; the last may be inf."""
    truth, estimate = np.array(pairs_m).T
    error = estimate - truth
    means = [
        (truth[inside].mean(), error[inside].mean())
        for low, high in pairwise(edges_m)
        if (inside := (truth >= low) & (truth < high)).any()
    ]
    text = ", ".join(f"{mean:+.1f} m at {metres:.0f} m" for metres, mean in means)
    with svg_figure("errors", f"Errors by known distance; means {text}") as (figure, result):
        axes = figure.add_subplot()
        axes.axhline(0, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.plot(truth, error, "o", **_points(len(pairs_m)))
        axes.plot(*zip(*means, strict=True), "s-", color="#a33a2a", markersize=5.0, linewidth=1.5)
        axes.set_xlabel("Known distance (m)")
        axes.set_ylabel("Measured minus known (m)")
        axes.set_xlim(0, axis_end(truth.tolist()))
    return result[0]


def coverage_svg(bands: Sequence[BandErrors]) -> str:
    """The share of known distances inside their 90 % interval, for each band with known distances."""
    shown = [(band_text(band.low_m, band.high_m), band.errors) for band in bands if band.errors is not None]
    text = ", ".join(f"{percent(errors.coverage)} at {name} m" for name, errors in shown)
    with svg_figure("coverage", f"Known distances inside their 90 % interval: {text}") as (figure, result):
        axes = figure.add_subplot()
        axes.bar(range(len(shown)), [100 * errors.coverage for _, errors in shown], color=BLUE, width=0.7)
        axes.axhline(90, color="#a33a2a", linewidth=1.4, linestyle=(0, (4, 3)))
        axes.set_xticks(range(len(shown)), [f"{name}\n(n {errors.n:,})" for name, errors in shown])
        axes.set_ylim(0, 100)
        axes.set_xlabel("Known distance (m)")
        axes.set_ylabel("Inside the 90 % interval (%)")
        axes.grid(axis="x", visible=False)
    return result[0]


def levels_svg(levels: Sequence[tuple[float, float]]) -> str:
    """How often known distances lie below each draw of their rows, against how often they should."""
    worst = max(levels, key=lambda pair: abs(pair[1] - pair[0]))
    label = (
        f"Calibration of the draws: share of known distances below each draw; farthest off at {percent(worst[0])}, where it "
        f"is {percent(worst[1])}"
    )
    with svg_figure("levels", label, (4.0, 3.8)) as (figure, result):
        axes = figure.add_subplot()
        draw_diagonal(axes, 100)
        expected, observed = np.array(levels).T
        axes.plot(100 * expected, 100 * observed, "o-", color=BLUE, markersize=4.5, linewidth=1.5)
        axes.set_xlabel("Should lie below (%)")
        axes.set_ylabel("Lie below (%)")
        axes.set_xlim(0, 100)
        axes.set_ylim(0, 100)
        axes.set_aspect("equal")
    return result[0]


def _points(n: int) -> dict[str, Any]:
    """How to draw n points."""
    is_many = n > RASTERISED_ABOVE
    return {
        "color": BLUE,
        "markersize": 4.0,
        "markeredgewidth": 0.0,
        "alpha": 0.2 if is_many else 0.45,
        "rasterized": is_many,
    }
