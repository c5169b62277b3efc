"""A made-up site: animals on flat ground in front of a pinhole camera, and a model with any error you like."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from trapmeter.records import Box, Distance, Estimate, Observation, Status
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.reference_marks import Upright, ground_point

CAMERA = CameraSetup(hfov_deg=45.0, height_m=1.0, pitch_deg=-8.0)
ANIMAL_M = 0.7


def row_of(distance_m: float, camera: CameraSetup = CAMERA) -> float:
    """The row of the picture (fraction) at whose middle the ground is this far away."""
    assert camera.hfov_deg is not None
    assert camera.height_m is not None
    assert camera.pitch_deg is not None
    below = math.atan(camera.height_m / distance_m) + math.radians(camera.pitch_deg)
    return 0.5 + math.tan(below) / math.tan(math.radians(camera.hfov_deg) / 2) * camera.aspect_ratio / 2


def point_at(distance_m: float, x: float = 0.5, line: int = 0) -> Upright:
    """A reference point on the ground."""
    return ground_point(x, row_of(distance_m), distance_m, line)


def points_csv(site_id: str, *distances_m: float) -> str:
    """The text of a table of reference points."""
    rows = [f"{site_id},0.5,{row_of(metres):.4f},{metres}" for metres in distances_m]
    return "\n".join(["site_id,x,y,distance_m", *rows])


def box_at(distance_m: float, score: float = 0.9) -> Box:
    """The box of an animal at this distance."""
    foot = min(row_of(distance_m), 0.97)
    height = ANIMAL_M / distance_m * 0.8
    return Box(0.4, max(foot - height, 0.0), 0.4 + min(height, 0.5), foot, score)


def distance(metres: float) -> Distance:
    """A prediction with an interval and draws."""
    draws = tuple(metres * factor for factor in np.linspace(0.7, 1.4, 10).tolist())
    return Distance(metres, 0.5 * metres, 1.8 * metres, draws)


def make_estimates(
    truths_m: Sequence[float], predict: Callable[[float], float], site_id: str = "S1", per_video: int = 4
) -> list[Estimate]:
    """Measured rows of a site with per_video seconds in each video. predict: the model's distance for a true one."""
    return [
        Estimate(
            Observation(f"{site_id}/{i // per_video}.mp4", float(i % per_video), box_at(m), 1, site_id),
            Status.MEASURED,
            distance(predict(m)),
            model_id="made-up",
        )
        for i, m in enumerate(truths_m)
    ]
