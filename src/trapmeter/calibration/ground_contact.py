"""How likely a distance is, given the row of the picture on which an animal's box ends.

The ground at the box's lower edge has a distance, known with the certainty of the fitted camera. A detection may show no
animal, feet may be hidden by plants, or lie below the picture's edge; the likelihood is a mixture of these cases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trapmeter.camera.fit import CameraFit
from trapmeter.camera.model import Floats
from trapmeter.records import Box

MIN_SLOPE = 0.05
"""Of 1/d down the picture, in 1/m per picture height: less would be a camera that stands on a tower."""


@dataclass(frozen=True, slots=True)
class FootSettings:
    """How far a box's lower edge is trusted to show where the feet are.

    Chosen by cross-validation over the training sites of simtrap (docs/results/calibration.md).
    """

    row_sd: float = 0.02
    """Standard deviation of the edge around the feet, as a fraction of the picture's height."""
    share_sd: float = 0.04
    """Relative standard deviation of 1/d: ground is not flat, and a box ends at the nearest leg."""
    score_at_even: float = 0.45
    """The score at which a box of TYPICAL_AREA shows an animal with probability 1/2."""
    score_slope: float = 13.0
    """Increase of the log odds of an animal with the score."""
    area_slope: float = 0.4
    """The same with the log of the area: small boxes are wrong more often."""
    repeat_slope: float = 7.5
    """Decrease of the log odds with the share of the site's other videos that have the same box: stumps stay."""
    hidden: float = 0.4
    """Probability that plants or other animals hide the feet."""
    hidden_share: float = 0.8
    """The most that may be hidden, as a share of the box's height."""
    cut_from: float = 0.985
    """From this lower edge on a box is cut off by the picture's edge: the feet may be anywhere below."""


TYPICAL_AREA = 0.03
"""Area of a typical box, as a share of the picture."""


def foot_likelihood(
    camera: CameraFit, box: Box, distance_m: Floats, settings: FootSettings, repeated: float = 0.0
) -> Floats:
    """The likelihood of a box given that its animal stands at each of the distances (n), up to a factor.

    repeated: the share (0..1) of the site's other videos that have the same box.
    """
    from scipy.special import ndtr

    middle = (box.x1 + box.x2) / 2
    nearness, sd = camera.nearness(middle, box.y2)
    slope = max(camera.slope(middle, box.y2), MIN_SLOPE)
    spread = math.sqrt(sd**2 + (settings.row_sd * slope) ** 2 + (settings.share_sd * nearness) ** 2)
    deviation = (1 / distance_m - nearness) / spread
    if box.y2 >= settings.cut_from:
        of_animal = ndtr(deviation) / slope
    else:
        reach = max(settings.hidden_share * (box.y2 - box.y1) * slope, 1e-3)
        visible = np.exp(-0.5 * deviation**2) / math.sqrt(2 * math.pi) / spread
        hidden = (ndtr(deviation) - ndtr(deviation - reach / spread)) / reach
        of_animal = (1 - settings.hidden) * visible + settings.hidden * hidden
    # The edge of a box that shows no animal may lie on any row.
    probability = animal_probability(box, settings, repeated)
    return np.asarray(probability * of_animal + (1 - probability) / slope, np.float64)


def animal_probability(box: Box, settings: FootSettings, repeated: float) -> float:
    """The probability (0..1) that a box shows an animal."""
    area = (box.x2 - box.x1) * (box.y2 - box.y1)
    odds_log = (
        settings.score_slope * (box.score - settings.score_at_even)
        + settings.area_slope * math.log(area / TYPICAL_AREA)
        - settings.repeat_slope * repeated
    )
    return 1 / (1 + math.exp(-min(max(odds_log, -30.0), 30.0)))
