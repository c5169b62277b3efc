"""The plots of the report, as SVG to be put into HTML.

The same figures give the same bytes: no dates, ids from a fixed salt, letters as paths of a font that matplotlib brings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

from trapmeter.report.numbers import LAST_BIN_M, IntervalBin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE_INCH = (4.8, 3.1)
"""Small, so that the letters can still be read where the plot is as wide as a phone."""

MANY_POINTS = 1500
"""More points than this are drawn as pixels: as shapes they would make the file large and slow to scroll."""

BLUE, GREY, INK = "#2f6f8f", "#8a8f98", "#333a44"
# Any: matplotlib types its settings' names one by one.
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
    """How many animals stand at which distance. counts: as numbers.histogram gives them."""
    most = max(range(len(counts)), key=counts.__getitem__)
    label = f"Histogram of {sum(counts):,} distances in bins of 1 m; most, {counts[most]:,}, lie from {most} m on"
    with drawing("histogram", label) as (figure, result):
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
    """The typical 90 % interval at each distance, around the line on which it would have no width."""
    with drawing("intervals", "Typical 90 % interval at each measured distance") as (figure, result):
        axes = figure.add_subplot()
        x = [one.distance_m for one in bins]
        right = end(x)
        diagonal(axes, right)
        below = [one.distance_m - one.low_m for one in bins]
        above = [one.high_m - one.distance_m for one in bins]
        axes.errorbar(
            x, x, yerr=[below, above], fmt="o", color=BLUE, ecolor=BLUE, elinewidth=2.2, markersize=4.5, alpha=0.9
        )
        axes.set_xlabel("Measured distance (m)")
        axes.set_ylabel("Typical 90 % interval (m)")
        axes.set_xlim(0, right)
        axes.set_ylim(0, end([one.high_m for one in bins]))
    return result[0]


def end(values_m: Sequence[float]) -> float:
    """Where an axis that starts at 0 ends: a little past the largest value, and never at 0."""
    return max(values_m, default=0.0) * 1.05 or 1.0


def diagonal(axes: Axes, top: float) -> None:
    """The dashed line on which both axes agree, from 0 to top."""
    axes.plot([0, top], [0, top], color=GREY, linewidth=1.0, linestyle=(0, (4, 3)))


@contextmanager
def drawing(name: str, label: str, size_inch: tuple[float, float] = SIZE_INCH) -> Iterator[tuple[Figure, list[str]]]:
    """A figure to draw on, whatever matplotlibrc says; the list holds its SVG once the block is left.

    name: starts the ids in it; label: says what it shows to those who can't see it.
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
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=nothing, dpi=200)
    result.append(_inline(file.getvalue(), name, label))


def _inline(svg: str, name: str, label: str) -> str:
    """The <svg> element alone, for a page that holds several: its ids become its own, its style leaves the page alone."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    for mark in ('id="', 'href="#', "url(#"):
        svg = svg.replace(mark, f"{mark}{name}-")
    start, rest = svg.split(">", 1)
    # The page gives the size. The prefixed namespaces are XML's affair.
    view_box = re.search(r'viewBox="[^"]*"', start)
    assert view_box is not None, "matplotlib writes a viewBox"
    return (
        f'<svg role="img" aria-label="{escape(label)}" {view_box[0]} '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" style="stroke-linejoin: round; stroke-linecap: butt">{rest}'
    )
