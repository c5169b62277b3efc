"""Corrects distances for the camera's lens, by the field of view of the cameras in the training data.

Models infer distance from an animal's size and place in the picture, as the lenses of their training showed them. A lens
with half the tangent of half the field of view shows the middle of such a picture, enlarged twice. So each box is moved
to where the training lens would have shown it: shrunk or grown about the middle of the picture. Box models predict from
these boxes; predictions of networks, which use the pixels, can only be multiplied by a factor.
"""

from __future__ import annotations

import math
from dataclasses import replace

from trapmeter.geometry import DEFAULT_HFOV_DEG
from trapmeter.records import Box, Distance
from trapmeter.tables.cameras import DEFAULT_ASPECT, CameraSetup

TRAINED_HFOV_DEG = DEFAULT_HFOV_DEG
"""Assumed field of view of the cameras in the training data. The tables of Deep Chimpact name no camera; the programme
behind them used trail cameras, which have 38 to 55 degrees."""
MAX_BOX_CORRECTION = 0.95
"""The largest share of the lens's effect that is applied. A pinhole would need all of it; but boxes cut by the picture's
edge shrink to look like whole animals farther away, and a smaller share offsets that (docs/results/calibration.md)."""
TRAINED_LENS_SD_LOG = 0.15
"""Standard deviation of the log tangent of the training lenses around the assumed one (38 to 55 degrees). A difference
of this size is corrected by half."""
NETWORK_LENS_POWER = 0.5
"""Power of the lens ratio that multiplies a network's predictions, which depend on size only in part
(docs/development/log.md)."""
MIN_SIDE = 1e-4


def lens_ratio(camera: CameraSetup | None, trained_hfov_deg: float = TRAINED_HFOV_DEG) -> float:
    """How many times larger this lens shows things than the training lens; 1 if the field of view is unknown."""
    if camera is None or camera.hfov_deg is None:
        return 1.0
    return math.tan(math.radians(trained_hfov_deg) / 2) / math.tan(math.radians(camera.hfov_deg) / 2)


def lens_changes_boxes(camera: CameraSetup | None, trained_hfov_deg: float = TRAINED_HFOV_DEG) -> bool:
    """Whether the training lens would have shown boxes elsewhere."""
    ratio = lens_ratio(camera, trained_hfov_deg)
    return camera is not None and camera.hfov_deg is not None and _scales(camera, ratio) != (1.0, 1.0)


def to_training_lens(box: Box, camera: CameraSetup, trained_hfov_deg: float = TRAINED_HFOV_DEG) -> Box:
    """The box as the training lens would have shown it; unchanged if the field of view is unknown.

    A box that would lie beside the picture is pushed in from the side; at top and bottom it is cut.
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


def box_scale(ratio: float) -> float:
    """The factor for a box that a lens shows `ratio` times larger than the training lens; decreases with the ratio."""
    log_ratio = math.log(ratio)
    share = MAX_BOX_CORRECTION * log_ratio**2 / (log_ratio**2 + TRAINED_LENS_SD_LOG**2)
    return math.exp(-share * log_ratio)


def _scales(camera: CameraSetup, ratio: float) -> tuple[float, float]:
    """The factors for a box's width and height. Pictures of the training are assumed to be 16:9."""
    scale = box_scale(ratio)
    return scale, scale * DEFAULT_ASPECT / camera.aspect_ratio
