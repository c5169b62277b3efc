"""How likely a distance is, given the height of the animal's box and its real shoulder height.

Through a pinhole, something of height H at depth d fills H f / d of the picture, with f = 1 / (2 tan(vfov / 2)) in
picture heights (Hartley and Zisserman 2004, section 6.1). A box is a little higher than the shoulder, because of heads
and loose boxes. A box may also show no animal, plants may hide a part of the animal, or the picture's edge may cut it;
the likelihood is a mixture of these cases, as for the ground.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trapmeter.calibration.ground_contact import FootSettings, animal_probability
from trapmeter.geometry import DEFAULT_HFOV_DEG, bearing_deg
from trapmeter.records import Box
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.species import ShoulderHeight

Floats = NDArray[np.float64]

EDGE_MARGIN = 0.005
"""A box nearer than this to the upper or lower edge of the picture may be cut off, as a fraction of its height."""


@dataclass(frozen=True, slots=True)
class SizeSettings:
    """Chosen by cross-validation over the training sites of simtrap (docs/results/calibration.md)."""

    box_over_shoulder: float = 1.15
    """Height of a box over the shoulder height of its animal."""
    sd_log: float = 0.2
    """Standard deviation of a box's height, in log metres, in addition to that of the shoulder height."""
    lens_sd_log: float = 0.15
    """Additional standard deviation if the lens is unknown: trail cameras have 38 to 55 degrees."""
    hidden: float = 0.2
    """Probability that a part of the animal is hidden."""
    hidden_log: float = 0.7
    """The largest part that may be hidden, in log metres."""
    box_correlation: float = 0.35
    """Correlation of the boxes of a track: each of n boxes gets the weight 1 / (1 + box_correlation (n - 1))."""
    typical_shoulder_m: float = 0.9
    """The shoulder height that models assume, having learned from many species."""
    prediction_shift_share: float = 0.4
    """Share of the animal's log height over typical_shoulder_m by which a prediction is shifted."""
    prediction_widening: float = 1.5
    """Factor for the spread of a prediction for one animal: its draws are right on average over all animals."""
    box: FootSettings = field(default_factory=lambda: FootSettings(score_at_even=0.35, score_slope=4.0))
    """How far boxes are trusted to show an animal."""
    span_log: float = 2.5
    """Range of the heights of boxes that show no animal, uniform in log metres."""


@dataclass(frozen=True, slots=True)
class AnimalSize:
    """An animal's shoulder height, and the camera that it was filmed with, if known.

    lens_sd_log: how uncertain its field of view is, in log tangents; None takes one that was stated as exact.
    """

    shoulder: ShoulderHeight
    camera: CameraSetup | None = None
    lens_sd_log: float | None = None

    def distance_m(self, box: Box, settings: SizeSettings) -> float:
        """The horizontal distance at which an animal of this height fills the box from top to bottom."""
        camera = self.camera or CameraSetup()
        hfov_deg = camera.hfov_deg or DEFAULT_HFOV_DEG
        focal = camera.aspect_ratio / 2 / math.tan(math.radians(hfov_deg) / 2)
        depth_m = self.shoulder.height_m * settings.box_over_shoulder * focal / (box.y2 - box.y1)
        return depth_m / math.cos(math.radians(bearing_deg((box.x1 + box.x2) / 2, hfov_deg)))

    def sd_log(self, settings: SizeSettings) -> float:
        """The standard deviation of that distance, in log metres."""
        has_lens = self.camera is not None and self.camera.hfov_deg is not None
        lens_sd = self.lens_sd_log or 0.0 if has_lens else settings.lens_sd_log
        return math.hypot(settings.sd_log, self.shoulder.sd_log, lens_sd)

    def prediction_shift_log(self, settings: SizeSettings) -> float:
        """The shift of a model's prediction for an animal of this height, in log metres."""
        return settings.prediction_shift_share * math.log(self.shoulder.height_m / settings.typical_shoulder_m)


def size_likelihood(
    size: AnimalSize, box: Box, distance_m: Floats, settings: SizeSettings, repeated: float = 0.0
) -> Floats:
    """The likelihood of a box given that its animal stands at each of the distances (n), up to a factor.

    repeated: the share (0..1) of the site's other videos that have the same box.
    """
    from scipy.special import ndtr

    sd = size.sd_log(settings)
    deviation = (np.log(distance_m) - math.log(size.distance_m(box, settings))) / sd
    if box.y1 <= EDGE_MARGIN or box.y2 >= 1 - EDGE_MARGIN:
        # The edge may have cut off any part of the animal: the box only gives its largest distance.
        of_animal = ndtr(-deviation) / settings.span_log
    else:
        visible = np.exp(-0.5 * deviation**2) / math.sqrt(2 * math.pi) / sd
        hidden = (ndtr(deviation + settings.hidden_log / sd) - ndtr(deviation)) / settings.hidden_log
        of_animal = (1 - settings.hidden) * visible + settings.hidden * hidden
    probability = animal_probability(box, settings.box, repeated)
    return np.asarray(probability * of_animal + (1 - probability) / settings.span_log, np.float64)
