"""The ground as a camera sees it: how far away each row of the picture is.

On flat ground seen through a pinhole, 1/d = a + b (y - 1/2) + c (x - 1/2) for the depth d along the camera's axis, and
nearly so for the distance; it is 0 at the horizon, and c describes a tilted camera or a slope. The three numbers of a
site come from points at known distances (robustly, so that one wrong distance doesn't decide), from the camera's height
and pitch, or from both: then the camera gives the prior of the points.

The row of an animal's feet gives a likelihood over distances. A detection may show no animal, feet may be hidden by
plants, or lie below the picture's edge; the likelihood is a mixture of these cases.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
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
"""Prior of a, b, c without a camera set-up: trail cameras are mounted at 0.5 to 1.5 m and have 38 to 55 degrees."""
POINT_ROW_SD = 0.01
"""Standard deviation of a point's row, as a fraction of the picture's height."""
POINT_INVERSE_DISTANCE_SD = 0.01
"""Additional standard deviation of a point's 1/d, in 1/m: ground is not flat."""
HEIGHT_SHARE_SD, PITCH_SD_DEG, ROLL_SD_DEG = 0.1, 3.5, 4.0
"""Standard deviations of a camera's stated height and pitch, and of its roll. The angles
combine an error of about 2 degrees with 3 degrees of slope of the ground, along and across."""


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """The plane 1/d (1/m) = a + b (y - 1/2) + c (x - 1/2). plane: a, b, c; covariance: 3 x 3."""

    plane: Floats
    covariance: Floats

    def inverse_distance(self, x: float, y: float) -> tuple[float, float]:
        """1/d at a point of the picture (fractions) and its standard deviation, in 1/m; negative above the horizon."""
        at = np.array([1.0, y - 0.5, x - 0.5])
        return float(at @ self.plane), float(np.sqrt(at @ self.covariance @ at))


def fit_ground(points: Sequence[ReferencePoint], camera: Ground | None = None) -> Ground:
    """The ground through the points, with the camera's ground as prior, if known.

    Raises:
        InputError: the points contradict each other: those higher in the picture are nearer.
    """
    fit = _PointFit(points, camera)
    ground = fit.best(fit.starts())
    if ground.plane[1] <= 0:
        raise InputError(
            f"the {len(points)} reference points contradict each other: most of those higher in the picture are nearer to "
            "the camera; y counts from the top, at the point where the person or pole touches the ground"
        )
    return ground


def predict_left_out(
    points: Sequence[ReferencePoint], camera: Ground | None = None, wrong: Collection[int] = ()
) -> list[float]:
    """1/d (1/m) at each point by the ground through the other points; 0 or less above the horizon.

    points: at least two. camera: the camera's ground as prior, if known. wrong: positions of points that the ground never
    goes through.
    """
    fit = _PointFit([point for i, point in enumerate(points) if i not in wrong], camera)
    full = fit.best(fit.starts())
    predicted = []
    for left_out, point in enumerate(points):
        ground = full
        if left_out not in wrong:
            others = [other for i, other in enumerate(points) if i != left_out and i not in wrong]
            fit = _PointFit(others, camera)
            ground = fit.best([full.plane, fit.start, fit.least_squares_plane()])
        predicted.append(ground.inverse_distance(point.x, point.y)[0])
    return predicted


def point_rows(points: Sequence[ReferencePoint]) -> tuple[Floats, Floats]:
    """What a plane multiplies at each point (n x 3), and the points' 1/d in 1/m (n)."""
    at = np.array([[1.0, point.y - 0.5, point.x - 0.5] for point in points])
    return at, np.array([1 / point.distance_m for point in points])


class _PointFit:
    """The robust fit of a plane to points: Cauchy's loss for the points, squares for the prior."""

    def __init__(self, points: Sequence[ReferencePoint], camera: Ground | None) -> None:
        self.start = PRIOR_PLANE if camera is None else camera.plane
        self._at, self._nearness = point_rows(points)
        self._root = (
            np.diag(1 / PRIOR_PLANE_SD) if camera is None else np.linalg.cholesky(np.linalg.inv(camera.covariance)).T
        )
        self._sd = POINT_INVERSE_DISTANCE_SD + POINT_ROW_SD * abs(self.start[1])

    def starts(self) -> list[Floats]:
        """The prior and the fits without each point: a wrong distance may add a local minimum."""
        return [self.start, *(self.least_squares_plane(left_out=i) for i in range(len(self._nearness)))]

    def best(self, starts: Sequence[Floats]) -> Ground:
        """The best of the fits from these starts."""
        from scipy.optimize import least_squares

        best = min((least_squares(self._misfit, plane) for plane in starts), key=lambda fit: float(fit.cost))
        jacobian = np.asarray(best.jac, np.float64)
        return Ground(best.x, np.asarray(np.linalg.inv(jacobian.T @ jacobian), np.float64))

    def least_squares_plane(self, left_out: int | None = None) -> Floats:
        """The least-squares plane of the points and the prior."""
        at, nearness = self._at, self._nearness
        if left_out is not None:
            at, nearness = np.delete(at, left_out, 0), np.delete(nearness, left_out)
        rows = np.concatenate([at / self._sd, self._root])
        targets = np.concatenate([nearness / self._sd, self._root @ self.start])
        return np.asarray(np.linalg.lstsq(rows, targets, rcond=None)[0], np.float64)

    def _misfit(self, plane: Floats) -> Floats:
        residual = (self._at @ plane - self._nearness) / self._sd
        robust = np.sign(residual) * np.sqrt(np.log1p(residual**2))
        return np.concatenate([robust, self._root @ (plane - self.start)])


def ground_from_camera(camera: CameraSetup) -> Ground | None:
    """Flat ground by the camera's height, pitch and field of view; None if one of them is unknown.

    Raises:
        InputError: the camera points too far up to show any ground.
    """
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
    """The least-squares plane of 1/d for flat ground through a pinhole, below the horizon."""
    assert camera.hfov_deg is not None
    x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(0.1, 0.9, 9), np.linspace(0.0, 1.0, 41)))
    half = math.tan(math.radians(camera.hfov_deg) / 2)
    across, up = (2 * x - 1) * half, (1 - 2 * y) * half / camera.aspect_ratio
    roll, down = math.radians(roll_deg), math.radians(-pitch_deg)
    across, up = across * math.cos(roll) - up * math.sin(roll), across * math.sin(roll) + up * math.cos(roll)
    drop = math.sin(down) - up * math.cos(down)
    nearness = drop / height_m / np.hypot(math.cos(down) + up * math.sin(down), across)
    is_ground = nearness > 1 / 40
    if is_ground.sum() < 3 * 9:
        raise InputError(
            f"a camera with a pitch of {pitch_deg:g} degrees and {camera.hfov_deg:.3g} degrees across sees no ground; "
            "pitch_deg is negative if the camera points down"
        )
    at = np.stack([np.ones(is_ground.sum()), y[is_ground] - 0.5, x[is_ground] - 0.5], axis=1)
    return np.asarray(np.linalg.lstsq(at, nearness[is_ground], rcond=None)[0], np.float64)


@dataclass(frozen=True, slots=True)
class FootSettings:
    """How far a box's lower edge is trusted to show where the feet are.

    Chosen by cross-validation over the training sites of simtrap (docs/results/calibration.md).
    """

    row_sd: float = 0.04
    """Standard deviation of the edge around the feet, as a fraction of the picture's height."""
    share_sd: float = 0.04
    """Relative standard deviation of 1/d: ground is not flat, and a box ends at the nearest leg."""
    score_at_even: float = 0.35
    """The score at which a box of TYPICAL_AREA shows an animal with probability 1/2."""
    score_slope: float = 9.0
    """Increase of the log odds of an animal with the score."""
    area_slope: float = 0.4
    """The same with the log of the area: small boxes are wrong more often."""
    repeat_slope: float = 7.5
    """Decrease of the log odds with the share of the site's other videos that have the same box: stumps stay."""
    hidden: float = 0.4
    """Probability that plants or other animals hide the feet."""
    hidden_share: float = 0.35
    """The most that may be hidden, as a share of the box's height."""
    cut_from: float = 0.985
    """From this lower edge on a box is cut off by the picture's edge: the feet may be anywhere below."""


TYPICAL_AREA = 0.03
"""Area of a typical box, as a share of the picture."""


def foot_likelihood(
    ground: Ground, box: Box, distance_m: Floats, settings: FootSettings, repeated: float = 0.0
) -> Floats:
    """The likelihood of a box given that its animal stands at each of the distances (n), up to a factor.

    repeated: the share (0..1) of the site's other videos that have the same box.
    """
    from scipy.special import ndtr

    nearness, sd = ground.inverse_distance((box.x1 + box.x2) / 2, box.y2)
    slope = max(float(ground.plane[1]), 0.05)
    spread = math.sqrt(sd**2 + (settings.row_sd * slope) ** 2 + (settings.share_sd * nearness) ** 2)
    deviation = (1 / distance_m - nearness) / spread
    if box.y2 >= settings.cut_from:
        of_animal = ndtr(deviation) / slope
    else:
        reach = max(settings.hidden_share * (box.y2 - box.y1) * slope, 1e-3)
        visible = np.exp(-0.5 * deviation**2) / math.sqrt(2 * math.pi) / spread
        hidden = (ndtr(deviation) - ndtr(deviation - reach / spread)) / reach
        of_animal = (1 - settings.hidden) * visible + settings.hidden * hidden
    # The edge of a box that shows no animal may lie on any row.
    probability = animal_probability(box, settings, repeated)
    return np.asarray(probability * of_animal + (1 - probability) / slope, np.float64)


def animal_probability(box: Box, settings: FootSettings, repeated: float) -> float:
    """The probability (0..1) that a box shows an animal."""
    area = (box.x2 - box.x1) * (box.y2 - box.y1)
    odds_log = (
        settings.score_slope * (box.score - settings.score_at_even)
        + settings.area_slope * math.log(area / TYPICAL_AREA)
        - settings.repeat_slope * repeated
    )
    return 1 / (1 + math.exp(-min(max(odds_log, -30.0), 30.0)))
