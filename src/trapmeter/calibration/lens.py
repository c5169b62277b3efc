"""Corrects distances for the camera's lens, by the field of view of the cameras in the training data.

A model knows distances from how large animals are in the picture and where they stand in it, and has learnt that with
the lenses of its training. What a lens with half the tangent of the half angle shows is the middle of their picture,
twice enlarged. So a box is drawn where they would have shown it: shrunk or grown about the middle of the picture. Models
that know boxes alone are asked about that; answers of networks, which have seen the pixels, can only be multiplied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from trapmeter.geometry import DEFAULT_HFOV_DEG
from trapmeter.records import Box, Distance, Observation
from trapmeter.tables.cameras import DEFAULT_ASPECT, CameraSetup

TRAINED_HFOV_DEG = DEFAULT_HFOV_DEG
"""Taken as the field of view of the cameras that the models learnt from: nobody has told it. The tables of Deep
Chimpact name no camera; the videos of the programme behind them are from trail cameras, which see 38 to 55 degrees."""
MAX_BOX_CORRECTION = 0.95
"""How much of a lens is reckoned in at most. A pinhole says all of it; but boxes that the picture's edge cuts shrink to
look like whole ones, farther away, and a little less makes up for that (docs/results/calibration.md)."""
TRAINED_LENS_SD_LOG = 0.15
"""How far the tangent of the training's lenses may be from what is assumed (log): trail cameras see 38 to 55 degrees. Of
a difference that is as small as that, half is reckoned in."""
NETWORK_LENS_POWER = 0.5
"""The power with which the lens multiplies a network's answers: they lean on sizes only in part (docs/log.md)."""
MIN_SIDE = 1e-4


def lens_ratio(camera: CameraSetup | None, trained_hfov_deg: float = TRAINED_HFOV_DEG) -> float:
    """How much larger this lens shows things than those of the training; 1 where the field of view isn't known."""
    if camera is None or camera.hfov_deg is None:
        return 1.0
    return math.tan(math.radians(trained_hfov_deg) / 2) / math.tan(math.radians(camera.hfov_deg) / 2)


def lens_changes_boxes(camera: CameraSetup | None, trained_hfov_deg: float = TRAINED_HFOV_DEG) -> bool:
    """Whether the cameras of the training would have shown boxes elsewhere."""
    ratio = lens_ratio(camera, trained_hfov_deg)
    return camera is not None and camera.hfov_deg is not None and _scales(camera, ratio) != (1.0, 1.0)


def to_training_lens(box: Box, camera: CameraSetup, trained_hfov_deg: float = TRAINED_HFOV_DEG) -> Box:
    """The box as the cameras of the training would have shown it; as it is where the field of view isn't known.

    A box that they would have shown beside the picture is pushed in from the side, and cut at top and bottom.
    """
    if not lens_changes_boxes(camera, trained_hfov_deg):
        return box
    across, down = _scales(camera, lens_ratio(camera, trained_hfov_deg))
    x1, x2 = (0.5 + (x - 0.5) * across for x in (box.x1, box.x2))
    y1, y2 = (0.5 + (y - 0.5) * down for y in (box.y1, box.y2))
    width = min(max(x2 - x1, MIN_SIDE), 1.0)
    x1 = min(max(x1, 0.0), 1.0 - width)
    y1 = min(max(y1, 0.0), 1.0 - MIN_SIDE)
    return Box(x1, y1, min(x1 + width, 1.0), max(min(y2, 1.0), y1 + MIN_SIDE), box.score)


def observations_to_training_lens(
    observations: Sequence[Observation], camera: CameraSetup | None, trained_hfov_deg: float = TRAINED_HFOV_DEG
) -> list[Observation]:
    """The observations with boxes as the cameras of the training would have shown them."""
    return [
        seen
        if seen.box is None or camera is None
        else replace(seen, box=to_training_lens(seen.box, camera, trained_hfov_deg))
        for seen in observations
    ]


def network_lens_factor(camera: CameraSetup | None, trained_hfov_deg: float = TRAINED_HFOV_DEG) -> float:
    """What answers of networks are to be multiplied by."""
    return math.pow(lens_ratio(camera, trained_hfov_deg), NETWORK_LENS_POWER)


def scale_distance(distance: Distance, factor: float) -> Distance:
    """Everything of a distance multiplied alike."""
    if factor == 1.0:
        return distance
    return replace(
        distance,
        distance_m=distance.distance_m * factor,
        low_m=distance.low_m * factor,
        high_m=distance.high_m * factor,
        draws_m=tuple(metres * factor for metres in distance.draws_m),
    )


def box_scale(ratio: float) -> float:
    """By how much boxes grow that a lens shows `ratio` times larger than those of the training do; falls with it."""
    log_ratio = math.log(ratio)
    share = MAX_BOX_CORRECTION * log_ratio**2 / (log_ratio**2 + TRAINED_LENS_SD_LOG**2)
    return math.exp(-share * log_ratio)


def _scales(camera: CameraSetup, ratio: float) -> tuple[float, float]:
    """By how much boxes grow across and down. The training's pictures are taken as 16:9."""
    scale = box_scale(ratio)
    return scale, scale * DEFAULT_ASPECT / camera.aspect_ratio
