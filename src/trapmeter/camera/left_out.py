"""The distance of each point, pole and person by the camera that the others show."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from trapmeter.camera.fit import CameraFit, fit_camera
from trapmeter.camera.model import HEIGHT_LOG, nearness_at
from trapmeter.camera.prior import CameraPrior
from trapmeter.tables.metres import FARTHEST_KNOWN_M
from trapmeter.tables.reference_marks import Mark, Upright


def left_out_distances(
    uprights: Sequence[Upright], prior: CameraPrior, wrong: Collection[int] = ()
) -> list[float | None]:
    """The distance (metres) of each upright by the others: inf beyond FARTHEST_KNOWN_M or the horizon, None without others.

    wrong: positions of uprights that no fit uses.
    """
    good = [upright for i, upright in enumerate(uprights) if i not in wrong]
    distances: list[float | None] = []
    for i, upright in enumerate(uprights):
        others = good if i in wrong else [other for other in good if other is not upright]
        distances.append(distance_by(fit_camera(others, prior), upright.lowest) if others else None)
    return distances


def distance_by(fit: CameraFit, mark: Mark) -> float:
    """The distance (metres) of the ground below a mark, as a fitted camera sees it: inf beyond FARTHEST_KNOWN_M."""
    parameters = fit.parameters.copy()
    height_m = math.exp(parameters[HEIGHT_LOG]) - mark.height_m
    if height_m <= 0:
        return math.inf
    parameters[HEIGHT_LOG] = math.log(height_m)
    nearness = float(nearness_at(parameters, fit.aspect_ratio, np.array(mark.x), np.array(mark.y)))
    return 1 / nearness if nearness > 1 / FARTHEST_KNOWN_M else math.inf
