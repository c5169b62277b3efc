"""Corrects the distances of networks that don't take the lens, by the field of view of their training cameras.

Networks infer distance from an animal's size and place in the picture, as the lenses of their training showed them. A lens
with half the tangent of half the field of view shows things twice as large.
"""

from __future__ import annotations

import math
from dataclasses import replace

from trapmeter.geometry import DEFAULT_HFOV_DEG
from trapmeter.records import Distance
from trapmeter.tables.cameras import CameraSetup

TRAINED_HFOV_DEG = DEFAULT_HFOV_DEG
"""Assumed field of view of the cameras in the training data. The tables of Deep Chimpact name no camera; the programme
behind them used trail cameras, which have 38 to 55 degrees."""
NETWORK_LENS_POWER = 0.5
"""Power of the lens ratio that multiplies a network's predictions, which depend on size only in part
(docs/development/log.md)."""


def lens_ratio(camera: CameraSetup | None, trained_hfov_deg: float = TRAINED_HFOV_DEG) -> float:
    """How many times larger this lens shows things than the training lens; 1 if the field of view is unknown."""
    if camera is None or camera.hfov_deg is None:
        return 1.0
    return math.tan(math.radians(trained_hfov_deg) / 2) / math.tan(math.radians(camera.hfov_deg) / 2)


def network_lens_factor(camera: CameraSetup | None, trained_hfov_deg: float = TRAINED_HFOV_DEG) -> float:
    """The factor for distances predicted by networks."""
    return math.pow(lens_ratio(camera, trained_hfov_deg), NETWORK_LENS_POWER)


def scale_distance(distance: Distance, factor: float) -> Distance:
    """A distance with its interval and draws, all multiplied by the factor."""
    if factor == 1.0:
        return distance
    return replace(
        distance,
        distance_m=distance.distance_m * factor,
        low_m=distance.low_m * factor,
        high_m=distance.high_m * factor,
        draws_m=tuple(metres * factor for metres in distance.draws_m),
    )
