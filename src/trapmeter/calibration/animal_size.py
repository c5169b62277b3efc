"""How likely a distance is, given the height of the animal's box and its real shoulder height.

Through a pinhole something of height H at depth d fills H f / d of the picture, with f = 1 / (2 tan(vfov / 2)) in
picture heights (Hartley and Zisserman 2004, section 6.1). A box is a little higher than a shoulder: heads, and boxes
are drawn loosely. And it may be wrong: it may show no animal, plants may hide a part of it, the picture's edge may cut
it. Each has its part in the likelihood, as with the ground.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trapmeter.calibration.ground import FootSettings, animal_probability
from trapmeter.geometry import DEFAULT_HFOV_DEG, bearing_deg
from trapmeter.records import Box
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.species import ShoulderHeight

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SizeSettings:
    """Chosen by cross-validation over the training sites of simtrap (docs/results/calibration.md)."""

    box_over_shoulder: float = 1.15
    """How much higher a box is than the shoulder of its animal."""
    sd_log: float = 0.2
    """How exactly a box shows its animal's height, in log metres, beside what is not known of the shoulder."""
    lens_sd_log: float = 0.15
    """What an unknown lens adds: trail cameras see 38 to 55 degrees."""
    hidden: float = 0.2
    """How often a part of the animal is hidden ..."""
    hidden_log: float = 0.7
    """... and how much of it at most, in log metres."""
    box_correlation: float = 0.35
    """Boxes of one track are wrong together: n of them count as often as 1 / (1 + alike (n - 1)) says of each."""
    typical_shoulder_m: float = 0.9
    """The shoulder height that models have in mind, having learnt from many species ..."""
    prediction_shift_share: float = 0.4
    """... and how far they go by size: an answer is moved by this share of the animal's log height over usual_m."""
    prediction_widening: float = 1.5
    """How much less sure an answer is of this one animal than its draws, which are right on the mean over all."""
    box: FootSettings = field(default_factory=lambda: FootSettings(score_slope=4.0))
    """How far boxes are trusted to show an animal."""
    span_log: float = 2.5
    """Heights of boxes that show no animal are anything over this range, in log metres."""


EDGE_MARGIN = 0.005
"""A box that comes this close to the upper or lower edge of the picture may be cut off by it."""


@dataclass(frozen=True, slots=True)
class AnimalSize:
    """How high an animal is, and through which lens it is seen: its camera, if anything is known of that."""

    shoulder: ShoulderHeight
    camera: CameraSetup | None = None

    def distance_m(self, box: Box, settings: SizeSettings) -> float:
        """The horizontal distance at which an animal of this height fills the box from top to bottom."""
        camera = self.camera or CameraSetup()
        hfov_deg = camera.hfov_deg or DEFAULT_HFOV_DEG
        focal = camera.aspect_ratio / 2 / math.tan(math.radians(hfov_deg) / 2)
        depth_m = self.shoulder.height_m * settings.box_over_shoulder * focal / (box.y2 - box.y1)
        return depth_m / math.cos(math.radians(bearing_deg((box.x1 + box.x2) / 2, hfov_deg)))

    def sd_log(self, settings: SizeSettings) -> float:
        """The standard deviation of that, in log metres."""
        has_lens = self.camera is not None and self.camera.hfov_deg is not None
        return math.hypot(settings.sd_log, self.shoulder.sd_log, 0.0 if has_lens else settings.lens_sd_log)

    def prediction_shift_log(self, settings: SizeSettings) -> float:
        """By how much a model's answer, in log metres, is to be moved for an animal of this height."""
        return settings.prediction_shift_share * math.log(self.shoulder.height_m / settings.typical_shoulder_m)


def size_likelihood(
    size: AnimalSize, box: Box, distance_m: Floats, settings: SizeSettings, repeated: float = 0.0
) -> Floats:
    """How likely this box is when its animal stands at each of the distances; up to a factor.

    repeated: the share of the site's other videos that have the same box.
    """
    from scipy.special import ndtr

    sd = size.sd_log(settings)
    off = (np.log(distance_m) - math.log(size.distance_m(box, settings))) / sd
    if box.y1 <= EDGE_MARGIN or box.y2 >= 1 - EDGE_MARGIN:
        # Of an animal that is cut off there may be any part: it is at most as far as the box says.
        right = ndtr(-off) / settings.span_log
    else:
        whole = np.exp(-0.5 * off**2) / math.sqrt(2 * math.pi) / sd
        part = (ndtr(off + settings.hidden_log / sd) - ndtr(off)) / settings.hidden_log
        right = (1 - settings.hidden) * whole + settings.hidden * part
    shown = animal_probability(box, settings.box, repeated)
    return np.asarray(shown * right + (1 - shown) / settings.span_log, np.float64)
