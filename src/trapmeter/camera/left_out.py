"""How far away each reference mark is according to the others: a fit without it shows slips that a fit with it hides."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from trapmeter.camera.fit import ERRORS, STEP, CameraFit, MarkErrors, fit_camera
from trapmeter.camera.model import HEIGHT_LOG, N_PARAMETERS, Floats, nearness_at
from trapmeter.camera.prior import CameraPrior
from trapmeter.tables.metres import FARTHEST_KNOWN_M
from trapmeter.tables.reference_marks import Mark, Upright

MAX_SD_LOG = 0.25
"""The others can tell a distance if its standard deviation is at most a quarter of it."""
FARTHEST_NEARNESS = 1 / FARTHEST_KNOWN_M


def left_out_distances(
    uprights: Sequence[Upright], prior: CameraPrior, only: Iterable[int] | None = None, errors: MarkErrors = ERRORS
) -> list[float | None]:
    """The distance in metres of each point, pole or person by a camera fitted to the others of its site.

    It is infinite beyond `FARTHEST_KNOWN_M`, at the horizon and above it, and None if the others can't tell. only: the
    indices of the uprights that are asked for; the others get None.
    """
    asked = set(range(len(uprights)) if only is None else only)
    return [
        _distance_by(fit_camera([*uprights[:i], *uprights[i + 1 :]], prior, errors), upright.lowest, errors)
        if i in asked
        else None
        for i, upright in enumerate(uprights)
    ]


def _distance_by(fit: CameraFit, mark: Mark, errors: MarkErrors) -> float | None:
    nearness, sd = _nearness_of(fit, mark, errors)
    if nearness - sd <= 0:
        # Even a mark that is a little nearer would lie far away; otherwise the others don't tell it from one at hand.
        return math.inf if nearness + 2 * sd < 4 * FARTHEST_NEARNESS else None
    if nearness < FARTHEST_NEARNESS:
        return math.inf
    return 1 / nearness if sd <= MAX_SD_LOG * nearness else None


def _nearness_of(fit: CameraFit, mark: Mark, errors: MarkErrors) -> tuple[float, float]:
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
    by_click = abs(at(mark.y + errors.click)[0] - values[0])
    by_ground = errors.uneven_m / abs(above_m[0]) * abs(values[0])
    return float(values[0]), float(np.sqrt(gradient @ fit.covariance @ gradient + by_click**2 + by_ground**2))
