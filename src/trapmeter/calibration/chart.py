"""calibration.png: the distances of each site before and after, and the ground through its reference points."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trapmeter.camera.fit import CameraFit
from trapmeter.files import atomic_path
from trapmeter.tables.point_misfits import Doubt, PointMisfit, signed_metres

MAX_PANELS = 12
"""Sites drawn: those with the most rows."""
COLUMNS = 4
TICKS_M = (0.5, 1, 2, 3, 5, 10, 15, 20, 30, 50, 100, 200)
LINE, DOTS, WARNING, GREY = "#2f6f8f", "#2f6f8f", "#b3432f", "#8a8f98"


@dataclass(frozen=True, slots=True, eq=False)
class SitePanel:
    """What is drawn of a site: distances in metres, the positions and metres of labels, the camera, and its points."""

    name: str
    before_m: tuple[float, ...]
    after_m: tuple[float, ...]
    labels: tuple[tuple[int, float], ...] = ()
    camera: CameraFit | None = None
    points: tuple[PointMisfit, ...] = ()


def draw_site_panels(sites: Sequence[SitePanel], path: Path) -> None:
    """Draws the MAX_PANELS sites with the most rows as a PNG file; sites with points get a second panel.

    Raises:
        RunError: the file can't be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    panels: list[Callable[[Any], None]] = []
    for site in sorted(sites, key=lambda site: (-len(site.after_m), site.name))[:MAX_PANELS]:
        panels.append(partial(_draw_distances, site=site))
        if site.points and site.camera is not None:
            panels.append(partial(_draw_ground, site=site, camera=site.camera))
    n_rows = max(1, math.ceil(len(panels) / COLUMNS))
    n_columns = max(1, min(COLUMNS, len(panels)))
    with mpl.rc_context():
        mpl.rcdefaults()
        # Dollar signs in a site's name are no formula.
        mpl.rcParams.update({"text.parse_math": False, "font.size": 9})
        figure = Figure(figsize=(3.2 * n_columns, 3.0 * n_rows), layout="constrained")
        grid = figure.subplots(n_rows, n_columns, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for axes, draw in zip(grid.flat, panels, strict=False):
            draw(axes)
        with atomic_path(path) as partial_file:
            figure.savefig(partial_file, format="png", dpi=110)


def _draw_distances(axes: Any, site: SitePanel) -> None:
    before_m, after_m = site.before_m, site.after_m
    label_m = [metres for _, metres in site.labels]
    labelled_m = [before_m[i] for i, _ in site.labels]
    end = 1.05 * max(*before_m, *after_m, *labelled_m, *label_m, 1.0)
    axes.plot([0, end], [0, end], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.plot(before_m, after_m, ".", color=DOTS, alpha=0.5, markersize=4, label="after")
    if label_m:
        axes.plot(labelled_m, label_m, "x", color=WARNING, markersize=6, label="labels")
    axes.set(title=site.name, xlim=(0, end), ylim=(0, end), xlabel="before (m)", ylabel="after (m)")
    axes.legend(fontsize=8, frameon=False)


def _draw_ground(axes: Any, site: SitePanel, camera: CameraFit) -> None:
    """Rows of the picture against distance: the ground in the middle of the picture, and the points with their misfits."""
    start, end = (
        0.8 * min(misfit.distance_m for misfit in site.points),
        1.6 * max(misfit.distance_m for misfit in site.points),
    )
    metres = np.geomspace(start, end, 200)
    rows = [camera.camera.place(float(m), 0.0)[1] for m in metres]
    axes.plot(metres, rows, color=LINE, linewidth=1, label="ground straight ahead")
    for misfit in site.points:
        color = DOTS if misfit.doubt is Doubt.NONE else WARNING
        axes.plot(misfit.distance_m, misfit.y, "o", color=color, markersize=4)
        axes.annotate(
            _misfit_text(misfit),
            (misfit.distance_m, misfit.y),
            xytext=(4, 3),
            textcoords="offset points",
            fontsize=7,
            color=color,
        )
    # y counts from the top of the picture.
    axes.set(title=f"{site.name}: ground", xscale="log", xlim=(start, end), ylim=(1, 0))
    axes.set(xlabel="distance (m)", ylabel="row of the picture (y)")
    axes.set_xticks([metres for metres in TICKS_M if start <= metres <= end])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.legend(fontsize=8, frameon=False, loc="lower right")


def _misfit_text(misfit: PointMisfit) -> str:
    """By how much the point is off, as the other points see it."""
    if misfit.misfit_m is not None:
        return signed_metres(misfit.misfit_m)
    return "" if misfit.others_m is None else "beyond the horizon"
