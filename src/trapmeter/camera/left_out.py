"""How far away each reference mark is according to the others: a fit without it shows slips that a fit with it hides."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from trapmeter.camera.fit import ERRORS, STEP, CameraFit, fit_camera
from trapmeter.camera.model import HEIGHT_LOG, N_PARAMETERS, Floats, nearness_at
from trapmeter.camera.prior import CameraPrior
from trapmeter.tables.metres import FARTHEST_KNOWN_M
from trapmeter.tables.reference_marks import Mark, Upright, UprightKind

MAX_SD_LOG = 0.5
"""The others can tell a distance if its standard deviation is at most half of it."""
FARTHEST_NEARNESS = 1 / FARTHEST_KNOWN_M


def left_out_distances(
    uprights: Sequence[Upright],
    prior: CameraPrior,
    only: Iterable[int] | None = None,
    wrong: Collection[int] = (),
) -> list[float | None]:
    """The distance in metres of each point, pole or person by a camera fitted to the others of its site.

    It is infinite beyond `FARTHEST_KNOWN_M`, at the horizon and above it, and None if the others can't tell. only: the
    indices of the uprights that are asked for; the others get None. wrong: indices of those that no fit uses.
    """
    asked = set(range(len(uprights)) if only is None else only)
    distances = []
    for i, upright in enumerate(uprights):
        others = [other for k, other in enumerate(uprights) if k != i and k not in wrong]
        distances.append(_distance_by(fit_camera(others, prior), upright.lowest) if i in asked else None)
    return distances


def _distance_by(fit: CameraFit, mark: Mark) -> float | None:
    nearness, sd = _nearness_of(fit, mark)
    if nearness - sd <= 0:
        # Even a mark that is a little nearer would lie far away; otherwise the others don't tell it from one at hand.
        return math.inf if nearness + 2 * sd < 4 * FARTHEST_NEARNESS else None
    if nearness < FARTHEST_NEARNESS:
        return math.inf
    return 1 / nearness if sd <= MAX_SD_LOG * nearness else None


def _nearness_of(fit: CameraFit, mark: Mark) -> tuple[float, float]:
    """1/d (1/m) of the foot of a mark, and its standard deviation.

    A mark above the ground lies on a plane through it, parallel to the ground and nearer to the lens, or above it.
    """
    steps = np.concatenate([fit.parameters[None], fit.parameters + STEP * np.eye(N_PARAMETERS)])
    height_m = np.exp(steps[:, HEIGHT_LOG])
    above_m = height_m - mark.height_m
    if abs(above_m[0]) < 0.1 * height_m[0]:
        return 0.0, math.inf  # at the height of the lens, a mark is on one row of the picture at all distances

    def at(y: float) -> Floats:
        ground = nearness_at(steps, fit.aspect_ratio, np.array(mark.x), np.array(y))
        return np.asarray(ground * height_m / above_m)

    values = at(mark.y)
    gradient = (values[1:] - values[0]) / STEP
    by_click = abs(at(mark.y + UprightKind.GROUND.click_sd_y)[0] - values[0])
    by_ground = ERRORS.uneven_m / abs(above_m[0]) * abs(values[0])
    return float(values[0]), float(np.sqrt(gradient @ fit.covariance @ gradient + by_click**2 + by_ground**2))
