"""Draws what good reference photographs look like: docs/images/reference-plan.svg and reference-picture.svg.

The plan shows the camera from the side and from above, with a pole at six distances. The picture shows what that camera sees:
the poles with the marks to click, and the lines of equal distance by a fit to these marks, each clicked some pixels off.

    python tools/draw_reference_photographs.py [--out docs/images]
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Wedge

from trapmeter.camera.fit import fit_camera
from trapmeter.camera.model import CameraModel, draw_distances
from trapmeter.camera.prior import camera_prior
from trapmeter.tables.reference_marks import Mark, Upright, UprightKind

CAMERA = CameraModel(hfov_deg=56, height_m=0.9, pitch_deg=-9, roll_deg=1.0, slope_along_deg=1.5, slope_across_deg=-1.0)
POLES = ((2.0, 2.0), (4.0, -15.0), (6.0, 14.0), (8.0, -3.0), (10.0, 17.0), (15.0, -8.0))
"""Distance and bearing of each place of the pole."""
MARK_HEIGHTS_M = (0.0, 1.0)
POLE_M = 1.2
LINES_M = (2.0, 3.0, 5.0, 8.0, 10.0, 15.0, 20.0)
SIZE_PX = (1280, 720)
CLICK_SD_PX = 2.0
INK, SOFT, RED, BLUE, SKY, GRASS, EARTH = "#1d2329", "#565e68", "#a5331f", "#1f5fbf", "#e4ecf2", "#c9d6b0", "#8a7a5a"


def draw_plan() -> Figure:
    """The camera and the places of the pole, from the side and from above."""
    figure = Figure(figsize=(9, 8.6), layout="constrained")
    side, above = figure.subplots(2, 1, height_ratios=(1, 2.6))
    _draw_side(side)
    _draw_above(above)
    return figure


def _draw_side(axes: Axes) -> None:
    farthest = 17.0
    rise = math.tan(math.radians(CAMERA.slope_along_deg))
    axes.fill_between([-1, farthest], [-rise, farthest * rise], -0.75, color=GRASS, lw=0)
    axes.plot([0, 0], [0, CAMERA.height_m + 0.4], color=EARTH, lw=7, solid_capstyle="butt")
    axes.plot(0.08, CAMERA.height_m, "s", color=INK, ms=9)
    half = math.degrees(math.atan(math.tan(math.radians(CAMERA.hfov_deg) / 2) / CAMERA.aspect_ratio))
    for angle in (CAMERA.pitch_deg - half, CAMERA.pitch_deg + half):
        end = min(farthest, -CAMERA.height_m / (math.tan(math.radians(angle)) - rise)) if angle < 0 else 6.5
        axes.plot(
            [0, end],
            [CAMERA.height_m, CAMERA.height_m + end * math.tan(math.radians(angle))],
            color=SOFT,
            lw=0.8,
            ls=":",
        )
    for metres, _ in POLES:
        foot = metres * rise
        axes.plot([metres, metres], [foot, foot + POLE_M], color=RED, lw=2.5)
        for height in MARK_HEIGHTS_M:
            axes.plot(metres, foot + height, "o", color="white", mec=RED, ms=5, zorder=3)
        axes.annotate(f"{metres:g} m", (metres, foot - 0.14), ha="center", va="top", color=INK, fontsize=9)
    axes.annotate("1 m", (POLES[0][0] + 0.15, 1.0), va="center", color=RED, fontsize=9)
    axes.annotate("foot", (POLES[0][0] + 0.15, 0.12), va="center", color=RED, fontsize=9)
    axes.annotate(
        "distance: along the ground, from below the camera", (8.0, -0.62), ha="center", color=BLUE, fontsize=9
    )
    axes.annotate("", (15, -0.38), (0, -0.38), arrowprops={"arrowstyle": "<->", "color": BLUE})
    axes.set(xlim=(-1, 17), ylim=(-0.75, 2.0), title="From the side")
    axes.set_axis_off()


def _draw_above(axes: Axes) -> None:
    half = math.radians(CAMERA.hfov_deg) / 2
    axes.add_patch(Wedge((0, 0), 15.8, -math.degrees(half), math.degrees(half), color=SKY, lw=0))
    for metres, _ in POLES:
        bearings = np.linspace(-half, half, 40)
        axes.plot(metres * np.cos(bearings), metres * np.sin(bearings), color=SOFT, lw=0.6, ls=":")
    for metres, bearing in POLES:
        right = metres * math.sin(math.radians(bearing))
        axes.plot([0, metres * math.cos(math.radians(bearing))], [0, -right], color=BLUE, lw=0.7)
        axes.plot(metres * math.cos(math.radians(bearing)), -right, "o", color=RED, ms=7)
        place = (metres * math.cos(math.radians(bearing)) + 0.2, -right + 0.2)
        axes.annotate(f"{metres:g} m", place, color=INK, fontsize=9)
    axes.plot(0, 0, "s", color=INK, ms=9)
    axes.annotate("camera", (-0.2, 0.5), color=INK, fontsize=9, ha="center")
    axes.annotate("what the camera sees", (10.6, -6.6), color=SOFT, fontsize=9, ha="right")
    axes.set(xlim=(-1, 17), ylim=(-7.6, 7.6), aspect="equal", title="From above: left, middle and right")
    axes.set_axis_off()


def draw_picture(seed: int = 3) -> Figure:
    """The picture with marks, and lines of equal distance by a fit to them."""
    rng = np.random.default_rng(seed)
    uprights = [_clicked(metres, bearing, rng) for metres, bearing in POLES]
    fit = fit_camera(uprights, camera_prior())
    figure = Figure(figsize=(9, 9 * SIZE_PX[1] / SIZE_PX[0]))
    axes = figure.add_axes((0, 0, 1, 1))
    horizon = np.array(CAMERA.distance_line(1e6))
    axes.set_facecolor(SKY)
    ground = [*horizon, (horizon[-1][0], 1.2), (horizon[0][0], 1.2)]
    axes.add_patch(Polygon(ground, color=GRASS, lw=0))
    for metres, line in draw_distances(fit.camera, LINES_M).items():
        x, y = np.array(line).T
        axes.plot(x, y, color=BLUE, lw=1.2)
        if (seen := x < 0.985).any():
            axes.annotate(
                f"{metres:g} m", (x[seen][-1], y[seen][-1] - 0.008), color=BLUE, fontsize=9, ha="right", va="bottom"
            )
    x, y = np.array(fit.camera.distance_line(1e6)).T
    axes.plot(x, y, color=SOFT, lw=1, ls="--")
    axes.annotate("horizon", (0.01, y[0] - 0.008), color=SOFT, fontsize=9, va="bottom")
    for (metres, bearing), upright in zip(POLES, uprights, strict=True):
        foot, top = (CAMERA.place(metres, bearing, height) for height in (0.0, POLE_M))
        axes.plot([foot[0], top[0]], [foot[1], top[1]], color=RED, lw=max(1.5, 12 / metres), solid_capstyle="butt")
        for mark in upright.marks:
            axes.plot(mark.x, mark.y, "o", color="white", mec=INK, ms=7, zorder=3)
        axes.annotate(
            f"{metres:g} m", (foot[0] + 0.012, foot[1]), color=INK, fontsize=10, fontweight="bold", va="center"
        )
    axes.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])
    return figure


def _clicked(metres: float, bearing: float, rng: np.random.Generator) -> Upright:
    marks = []
    for height in MARK_HEIGHTS_M:
        place = np.array(CAMERA.place(metres, bearing, height)) + rng.normal(0, CLICK_SD_PX, 2) / SIZE_PX
        marks.append(Mark(*place.tolist(), height))
    return Upright(tuple(marks), metres, UprightKind.POLE)


def main() -> None:
    """Writes both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs/images")
    out = parser.parse_args().out
    # Without a date and with fixed ids, the same drawing has the same bytes.
    with mpl.rc_context({"svg.hashsalt": "trapmeter", "svg.fonttype": "none", "font.family": "sans-serif"}):
        for name, figure in (("reference-plan", draw_plan()), ("reference-picture", draw_picture())):
            figure.savefig(out / f"{name}.svg", metadata={"Date": None})
            print(out / f"{name}.svg")


if __name__ == "__main__":
    main()
