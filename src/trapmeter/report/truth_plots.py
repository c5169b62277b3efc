"""The plots of a comparison with known distances: how far off answers lie, and whether they know it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from trapmeter.report.comparison import BandErrors
from trapmeter.report.plots import BLUE, GREY, MANY_POINTS, diagonal, drawing, end
from trapmeter.report.words import band, percent


def truth_svg(pairs_m: Sequence[tuple[float, float]]) -> str:
    """Estimates against truths, with the line on which they agree. pairs_m: (truth, estimate) in metres."""
    label = f"{len(pairs_m):,} measured distances against known distances, with the line of agreement"
    with drawing("truth", label, (4.0, 3.8)) as (figure, result):
        axes = figure.add_subplot()
        top = end([value for pair in pairs_m for value in pair])
        diagonal(axes, top)
        truth, answer = np.array(pairs_m).T
        axes.plot(truth, answer, "o", **_points(len(pairs_m)))
        axes.set_xlabel("Known distance (m)")
        axes.set_ylabel("Measured distance (m)")
        axes.set_xlim(0, top)
        axes.set_ylim(0, top)
        axes.set_aspect("equal")
    return result[0]


def errors_svg(pairs_m: Sequence[tuple[float, float]], edges_m: Sequence[float]) -> str:
    """Errors (measured minus known) by known distance, with the mean in each band. edges_m: of bands, the last may be inf."""
    truth, answer = np.array(pairs_m).T
    error = answer - truth
    means = [
        (truth[inside].mean(), error[inside].mean())
        for low, high in pairwise(edges_m)
        if (inside := (truth >= low) & (truth < high)).any()
    ]
    told = ", ".join(f"{mean:+.1f} m at {metres:.0f} m" for metres, mean in means)
    with drawing("errors", f"Errors by known distance; on the mean {told}") as (figure, result):
        axes = figure.add_subplot()
        axes.axhline(0, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.plot(truth, error, "o", **_points(len(pairs_m)))
        axes.plot(*zip(*means, strict=True), "s-", color="#a33a2a", markersize=5.0, linewidth=1.5)
        axes.set_xlabel("Known distance (m)")
        axes.set_ylabel("Measured minus known (m)")
        axes.set_xlim(0, end(truth.tolist()))
    return result[0]


def coverage_svg(bands: Sequence[BandErrors]) -> str:
    """The share of known distances inside their 90 % interval, in each band of known distance that has any."""
    found = [(band(one.low_m, one.high_m), one.errors) for one in bands if one.errors is not None]
    told = ", ".join(f"{percent(errors.coverage)} at {name} m" for name, errors in found)
    with drawing("coverage", f"Known distances inside their 90 % interval: {told}") as (figure, result):
        axes = figure.add_subplot()
        axes.bar(range(len(found)), [100 * errors.coverage for _, errors in found], color=BLUE, width=0.7)
        axes.axhline(90, color="#a33a2a", linewidth=1.4, linestyle=(0, (4, 3)))
        axes.set_xticks(range(len(found)), [f"{name}\n(n {errors.n:,})" for name, errors in found])
        axes.set_ylim(0, 100)
        axes.set_xlabel("Known distance (m)")
        axes.set_ylabel("Inside the 90 % interval (%)")
        axes.grid(axis="x", visible=False)
    return result[0]


def levels_svg(levels: Sequence[tuple[float, float]]) -> str:
    """How often known distances lie below each of their rows' draws, against how often they should."""
    worst = max(levels, key=lambda pair: abs(pair[1] - pair[0]))
    label = (
        f"Calibration of the draws: shares of known distances below each; farthest off where {percent(worst[0])} were asked "
        f"for and {percent(worst[1])} found"
    )
    with drawing("levels", label, (4.0, 3.8)) as (figure, result):
        axes = figure.add_subplot()
        diagonal(axes, 100)
        asked, found = np.array(levels).T
        axes.plot(100 * asked, 100 * found, "o-", color=BLUE, markersize=4.5, linewidth=1.5)
        axes.set_xlabel("Should lie below (%)")
        axes.set_ylabel("Lie below (%)")
        axes.set_xlim(0, 100)
        axes.set_ylim(0, 100)
        axes.set_aspect("equal")
    return result[0]


def _points(n: int) -> dict[str, Any]:
    """Many points are drawn as pixels: as shapes they would make the file large and slow to scroll."""
    is_many = n > MANY_POINTS
    return {
        "color": BLUE,
        "markersize": 4.0,
        "markeredgewidth": 0.0,
        "alpha": 0.2 if is_many else 0.45,
        "rasterized": is_many,
    }
