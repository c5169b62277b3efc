"""What a camera's field of view makes of a distance.

A model knows distances from how large animals are in the picture and where they stand in it, and has learnt that with
the lenses of its training. Through a lens with half the tangent of the half angle, the same animal looks as large at
twice the distance. But models lean on sizes only in part: they answer with medians and draw unusual sizes to the middle.
So the ratio counts with its root, which is what fits simtrap's cameras (docs/results/calibration.md).
"""

from __future__ import annotations

import math

from trapmeter.geometry import DEFAULT_HFOV_DEG
from trapmeter.tables.cameras import Camera

TRAINED_HFOV_DEG = DEFAULT_HFOV_DEG
"""Taken as the field of view of the cameras that the models learnt from: nobody has told it. The tables of Deep
Chimpact name no camera; the videos of the programme behind them are from trail cameras, which see 38 to 55 degrees."""


def lens_factor(camera: Camera | None, trained_hfov_deg: float = TRAINED_HFOV_DEG) -> float:
    """What distances are to be multiplied by; 1 where the field of view isn't known."""
    if camera is None or camera.hfov_deg is None:
        return 1.0
    ratio = math.tan(math.radians(trained_hfov_deg) / 2) / math.tan(math.radians(camera.hfov_deg) / 2)
    return math.sqrt(ratio)
