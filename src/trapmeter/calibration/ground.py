"""The ground as a camera sees it: which row of the picture is how far away.

Flat ground seen through a pinhole has 1/d = a + b (y - 1/2) + c (x - 1/2) along its depth, with the horizon where that
is 0 (c: a camera that hangs askew, or a slope). Three numbers a site, from points at known distances (robustly, so that
a point with a wrong number does not decide), from height and pitch of the camera, or from both: the facts are then
where the points start.

What a row tells of an animal's feet comes as a likelihood over distances. A detector's box may show no animal, feet may
be hidden by plants, or lie below the picture's edge; each has its part in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import InputError
from trapmeter.records import Box
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.reference_points import ReferencePoint

Floats = NDArray[np.float64]

PRIOR_PLANE = np.array([0.15, 0.6, 0.0])
PRIOR_PLANE_SD = np.array([1.0, 0.5, 0.1])
"""Of a, b, c where only points are known: trail cameras hang at 0.5 to 1.5 m and see 38 to 55 degrees."""
POINT_ROW_SD = 0.01
"""How exactly a point's row is read, as a fraction of the picture's height."""
POINT_INVERSE_DISTANCE_SD = 0.01
"""What a point's 1/d may be off by besides, in 1/m: ground is not flat."""
HEIGHT_SHARE_SD, PITCH_SD_DEG, ROLL_SD_DEG = 0.1, 3.5, 4.0
"""How exactly field teams know these of a camera, and how far ground is from level: 2 degrees and 3 more along and
across."""


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """1/d (1/m) = a + b (y - 1/2) + c (x - 1/2); plane: a, b, c; covariance: 3 x 3, of the three."""

    plane: Floats
    covariance: Floats

    def inverse_distance(self, x: float, y: float) -> tuple[float, float]:
        """1/d at a place of the picture (fractions) and its standard deviation, in 1/m; below 0 above the horizon."""
        at = np.array([1.0, y - 0.5, x - 0.5])
        return float(at @ self.plane), float(np.sqrt(at @ self.covariance @ at))


def fit_ground(points: Sequence[ReferencePoint], camera: Ground | None = None) -> Ground:
    """The ground through the points, starting from what the camera's facts tell, if any.

    Raises:
        InputError: the points contradict each other: they are nearer the higher they lie in the picture.
    """
    from scipy.optimize import least_squares

    at = np.array([[1.0, point.y - 0.5, point.x - 0.5] for point in points])
    nearness = np.array([1 / point.distance_m for point in points])
    start = PRIOR_PLANE if camera is None else camera.plane
    root = np.diag(1 / PRIOR_PLANE_SD) if camera is None else np.linalg.cholesky(np.linalg.inv(camera.covariance)).T
    sd = POINT_INVERSE_DISTANCE_SD + POINT_ROW_SD * abs(start[1])

    def misfit(plane: Floats) -> Floats:
        off = (at @ plane - nearness) / sd
        # Cauchy's loss, of the points alone: what is known beforehand stays a bell curve.
        return np.concatenate([np.sign(off) * np.sqrt(np.log1p(off**2)), root @ (plane - start)])

    # A point with a wrong number may have made a valley of its own, so the search starts without each of them in turn.
    begins = [
        start,
        *(
            _least_squares_plane(np.delete(at, i, 0), np.delete(nearness, i), start, root, sd)
            for i in range(len(points))
        ),
    ]
    found = min((least_squares(misfit, begin) for begin in begins), key=lambda one: float(one.cost))
    slopes = np.asarray(found.jac, np.float64)
    if found.x[1] <= 0:
        raise InputError(
            f"the {len(points)} reference points contradict each other: on the whole they are nearer to the camera the "
            "higher they lie in the picture; y counts from the top, and belongs to the place where the ground is touched"
        )
    return Ground(found.x, np.asarray(np.linalg.inv(slopes.T @ slopes), np.float64))


def _least_squares_plane(at: Floats, nearness: Floats, start: Floats, root: Floats, sd: float) -> Floats:
    """The plane with the least squares from the points and from where it starts."""
    rows = np.concatenate([at / sd, root])
    wanted = np.concatenate([nearness / sd, root @ start])
    return np.asarray(np.linalg.lstsq(rows, wanted, rcond=None)[0], np.float64)


def ground_from_camera(camera: CameraSetup) -> Ground | None:
    """The ground that height, pitch and field of view tell of, taken as flat; None where one of them isn't known."""
    if camera.height_m is None or camera.pitch_deg is None or camera.hfov_deg is None:
        return None
    facts = np.array([camera.height_m, camera.pitch_deg, 0.0])
    steps = np.array([camera.height_m * HEIGHT_SHARE_SD, PITCH_SD_DEG, ROLL_SD_DEG])
    plane = _camera_plane(camera, *facts)
    effect = np.stack(
        [
            (_camera_plane(camera, *(facts + step)) - _camera_plane(camera, *(facts - step))) / 2
            for step in np.diag(steps)
        ]
    )
    return Ground(plane, effect.T @ effect + np.diag([1e-2, 1e-2, 1e-2]) ** 2)


def _camera_plane(camera: CameraSetup, height_m: float, pitch_deg: float, roll_deg: float) -> Floats:
    """The plane of 1/d that comes nearest to flat ground through a pinhole, below the horizon."""
    assert camera.hfov_deg is not None, "asked of cameras with a known lens alone"
    x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(0.1, 0.9, 9), np.linspace(0.0, 1.0, 41)))
    half = math.tan(math.radians(camera.hfov_deg) / 2)
    across, up = (2 * x - 1) * half, (1 - 2 * y) * half / camera.aspect_ratio
    roll, down = math.radians(roll_deg), math.radians(-pitch_deg)
    across, up = across * math.cos(roll) - up * math.sin(roll), across * math.sin(roll) + up * math.cos(roll)
    sinks = math.sin(down) - up * math.cos(down)
    nearness = sinks / height_m / np.hypot(math.cos(down) + up * math.sin(down), across)
    is_ground = nearness > 1 / 40
    if is_ground.sum() < 3 * 9:
        raise InputError(
            f"a camera with a pitch of {pitch_deg:g} degrees and {camera.hfov_deg:.3g} degrees across sees no ground; "
            "pitch_deg is negative where the camera looks down"
        )
    at = np.stack([np.ones(is_ground.sum()), y[is_ground] - 0.5, x[is_ground] - 0.5], axis=1)
    return np.asarray(np.linalg.lstsq(at, nearness[is_ground], rcond=None)[0], np.float64)


@dataclass(frozen=True, slots=True)
class FootSettings:
    """How far a box's lower edge is trusted as the place of the feet.

    Chosen by cross-validation over the training sites of simtrap (docs/results/calibration.md).
    """

    row_sd: float = 0.04
    """How far from the feet the edge lies, as a fraction of the picture's height."""
    share_sd: float = 0.04
    """What 1/d may be off by, as a share of it: ground is not flat, and a box ends at the nearest leg."""
    score_at_even: float = 0.35
    """The score of a box of USUAL_AREA that shows an animal as often as not."""
    score_slope: float = 9.0
    """How quickly boxes get better with their score (logistic)."""
    area_slope: float = 0.4
    """The same with the logarithm of their area: small boxes are wrong more often."""
    repeat_slope: float = 7.5
    """How quickly they get worse with the share of the site's other videos that have the same box: stumps stay, animals
    go."""
    hidden: float = 0.4
    """How often feet are hidden by plants or other animals ..."""
    hidden_share: float = 0.35
    """... and by how much at most, as a share of the box's height."""
    cut_from: float = 0.985
    """A box whose lower edge lies below this row is cut by the picture's edge: the feet may be anywhere under it."""


TYPICAL_AREA = 0.03
"""Of a box, as a share of the picture."""


def foot_likelihood(
    ground: Ground, box: Box, distance_m: Floats, settings: FootSettings, repeated: float = 0.0
) -> Floats:
    """How likely this box is when its animal stands at each of the distances; up to a factor.

    repeated: the share of the site's other videos that have the same box.
    """
    from scipy.special import ndtr

    nearness, sd = ground.inverse_distance((box.x1 + box.x2) / 2, box.y2)
    slope = max(float(ground.plane[1]), 0.05)
    spread = math.sqrt(sd**2 + (settings.row_sd * slope) ** 2 + (settings.share_sd * nearness) ** 2)
    off = (1 / distance_m - nearness) / spread
    if box.y2 >= settings.cut_from:
        right = ndtr(off) / slope
    else:
        reach = max(settings.hidden_share * (box.y2 - box.y1) * slope, 1e-3)
        seen = np.exp(-0.5 * off**2) / math.sqrt(2 * math.pi) / spread
        hidden = (ndtr(off) - ndtr(off - reach / spread)) / reach
        right = (1 - settings.hidden) * seen + settings.hidden * hidden
    # A box that shows no animal may have its edge on any row.
    shown = animal_probability(box, settings, repeated)
    return np.asarray(shown * right + (1 - shown) / slope, np.float64)


def animal_probability(box: Box, settings: FootSettings, repeated: float) -> float:
    """How likely a box shows an animal (0..1)."""
    area = (box.x2 - box.x1) * (box.y2 - box.y1)
    odds_log = (
        settings.score_slope * (box.score - settings.score_at_even)
        + settings.area_slope * math.log(area / TYPICAL_AREA)
        - settings.repeat_slope * repeated
    )
    return 1 / (1 + math.exp(-min(max(odds_log, -30.0), 30.0)))
