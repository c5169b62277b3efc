"""Lines of equal distance on the ground of a picture: which to draw, and where."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trapmeter.camera.fit import CameraFit
from trapmeter.camera.model import Floats, PinholeCamera, project

MIN_GAP = 0.03
"""Between two lines, as a fraction of the picture's height: 15 pixels of a picture 500 pixels high, room for a label."""
MIN_LINES = 3
"""With fewer, whole and then half and quarter metres fill in: a telephoto may see no more than 21 to 24 m."""
MAX_LINES = 12
PREFERRED_M: tuple[tuple[float, ...], ...] = (
    (5.0, 10.0, 20.0),
    (2.0, 3.0, 15.0, 30.0, 50.0),
    (1.0, 4.0, 6.0, 8.0),
    (7.0, 12.0, 25.0, 40.0),
)
"""The roundest first: where lines would be crowded, 10 m stays and 12 m goes."""
FALLBACK_M: tuple[tuple[float, ...], ...] = (
    tuple(float(metres) for metres in range(1, 61)),
    tuple(0.5 + half for half in range(60)),
    tuple(0.25 * quarter for quarter in range(1, 80)),
)
ROUGH_SD = 0.15
"""Relative standard deviation of a distance from which its line counts as rough."""
SAME_ASPECT = 0.02
"""Pictures whose aspect ratio differs by less show the same view: encoders round sizes to multiples of 8 or 16."""
N_BEARINGS = 41


@dataclass(frozen=True, slots=True)
class DistanceLine:
    """A line of equal distance.

    points: x, y as fractions of the picture, from left to right; the first and the last may lie just beyond it. is_rough: the
    fit leaves the distance uncertain by more than ROUGH_SD.
    """

    distance_m: float
    points: tuple[tuple[float, float], ...]
    is_rough: bool = False


def choose_distances(camera: PinholeCamera) -> tuple[float, ...]:
    """The distances (metres, ascending) whose lines to draw: at most MAX_LINES, nowhere closer than MIN_GAP.

    Round distances go first. A picture that shows fewer than MIN_LINES of them gets finer steps, and one without any ground
    none.
    """
    chosen: dict[float, Floats] = {}
    for tier in PREFERRED_M:
        _add_lines(camera, tier, chosen, MAX_LINES)
    for tier in FALLBACK_M:
        _add_lines(camera, tier, chosen, MIN_LINES)
    return tuple(sorted(chosen))


def distance_lines(fit: CameraFit) -> tuple[DistanceLine, ...]:
    """The lines to draw into the pictures of a camera, from near to far."""
    camera = fit.camera
    lines = []
    for metres in choose_distances(camera):
        points = tuple(camera.distance_line(metres))
        if len(points) > 1:
            inside = [point for point in points if all(0 <= value <= 1 for value in point)]
            x, y = inside[len(inside) // 2]
            nearness, sd = fit.nearness(x, y)
            lines.append(DistanceLine(metres, points, not sd < ROUGH_SD * nearness))
    return tuple(lines)


def has_same_view(fit: CameraFit, width: int, height: int) -> bool:
    """Whether a picture of this size (pixels) has the format of the reference photographs, so that the lines fit it.

    Many cameras take photos in 4:3 and crop videos to 16:9: a line of one is wrong in the other.
    """
    return abs(math.log(width / height / fit.aspect_ratio)) < SAME_ASPECT


def _add_lines(camera: PinholeCamera, tier: tuple[float, ...], chosen: dict[float, Floats], most: int) -> None:
    for metres in tier:
        if len(chosen) >= most:
            return
        rows = _rows(camera, metres)
        if np.isfinite(rows).sum() > 1 and all(_gap(rows, other) >= MIN_GAP for other in chosen.values()):
            chosen[metres] = rows


def _rows(camera: PinholeCamera, distance_m: float) -> Floats:
    """Where the line lies at each of N_BEARINGS (y as fractions), NaN outside the picture."""
    half = math.radians(camera.hfov_deg) / 2
    bearings = np.linspace(-half, half, N_BEARINGS)
    x, y = project(
        camera.parameters, camera.aspect_ratio, np.full(N_BEARINGS, distance_m), bearings, np.zeros(N_BEARINGS)
    )
    with np.errstate(invalid="ignore"):
        return np.where((x >= 0) & (x <= 1) & (y >= 0) & (y <= 1), y, np.nan)


def _gap(rows: Floats, others: Floats) -> float:
    """The least distance between two lines at one bearing; infinite if no bearing shows both."""
    gaps = np.abs(rows - others)
    gaps = gaps[np.isfinite(gaps)]
    return float(gaps.min()) if gaps.size else math.inf
