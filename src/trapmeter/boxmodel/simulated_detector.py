"""What a detector makes of simulated animals: loose boxes, missed animals, and boxes of something else.

The figures are those of MegadetectorLite on simtrap's training sites: 55 % of the labelled seconds have a box of their
animal, 7 % of another animal, 22 % of something else, and 15 % none. A state lasts: from one second to the next, 86 % of the
right boxes stay right, 66 % of the false ones false, 62 % of the missing ones missing. Better detectors are drawn too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

STATE_MEMORY = 0.75
"""Correlation from second to second of what makes an animal hard to detect."""
EDGE_SD, LOOSE_SHARE, LOOSE_SD = 0.045, 0.12, 0.25
"""Errors of a right box's edges as shares of its width and height; a share of the boxes is much looser."""
SAME_PLACE_SHARE = 0.6
"""Share of the false boxes that come again and again at the same places of a site: stones, stumps."""


class Outcome(IntEnum):
    """What the box of a second shows."""

    RIGHT = 0
    OTHER = 1
    FALSE = 2
    NONE = 3


@dataclass(frozen=True, slots=True)
class SimulatedDetector:
    """A detector at a site. skill: added to the log odds of a right box. threshold: lower scores are left out.

    places: boxes (k x 4) of still things that it takes for animals. none_share: how often it finds nothing instead of
    something else.
    """

    skill: float
    threshold: float
    none_share: float
    places: Floats


def draw_detector(rng: np.random.Generator) -> SimulatedDetector:
    """A detector like the one measured, or a better one."""
    skill = 0.0 if rng.random() < 0.5 else rng.uniform(0, 3)
    places = np.stack([_place(rng) for _ in range(4)])
    return SimulatedDetector(skill, float(rng.choice([0.035, 0.035, 0.1, 0.25])), rng.uniform(0.25, 0.6), places)


def detect(  # noqa: PLR0917
    detector: SimulatedDetector,
    visible_boxes: Floats,
    visible_share: Floats,
    others: Floats,
    is_night: bool,
    rng: np.random.Generator,
) -> Floats:
    """Boxes with scores (n x 5), NaN where nothing is found.

    visible_boxes: n x 4, of the visible part within the picture. visible_share: 0..1 (n). others: boxes of another animal
    (n x 4), NaN if there is none.
    """
    n = len(visible_boxes)
    area = np.prod(visible_boxes[:, 2:] - visible_boxes[:, :2], axis=1)
    odds = detector.skill + 0.75 + 0.55 * np.clip(np.log(np.maximum(area, 1e-6) / 0.02), -6, 0)
    odds += 2.2 * (visible_share - 0.8) - 0.25 * is_night
    # A logistic threshold on a process that remembers, so that states last.
    hardness = _remembering(n, STATE_MEMORY, rng)
    is_right = expit(1.6 * hardness) < expit(1.2 * odds)
    lost = _remembering(n, STATE_MEMORY, rng)
    is_none = lost < np.quantile(lost, detector.none_share) if n > 1 else rng.random(n) < detector.none_share
    has_other = np.isfinite(others).all(axis=1)
    outcome = np.where(is_right, Outcome.RIGHT, np.where(is_none, Outcome.NONE, Outcome.FALSE))
    outcome = np.where(~is_right & has_other & (rng.random(n) < 0.7), Outcome.OTHER, outcome)
    found = np.full((n, 5), np.nan)
    clarity = np.clip(0.55 + 0.08 * np.log(np.maximum(area, 1e-6) / 0.02) + 0.3 * (visible_share - 0.8), 0.05, 0.9)
    place = detector.places[rng.integers(len(detector.places))]
    for i in range(n):
        if outcome[i] == Outcome.RIGHT:
            found[i] = (*_loosen(visible_boxes[i], rng), _score(clarity[i] + 0.04 * detector.skill, rng))
        elif outcome[i] == Outcome.OTHER:
            found[i] = (*_loosen(others[i], rng), _score(clarity[i], rng))
        elif outcome[i] == Outcome.FALSE:
            box = place if rng.random() < SAME_PLACE_SHARE else _place(rng)
            found[i] = (*_loosen(box, rng, 0.02), np.clip(np.exp(rng.normal(np.log(0.16), 0.8)), 0.035, 0.9))
    found[found[:, 4] < detector.threshold] = np.nan
    return found


def _score(mean: float, rng: np.random.Generator) -> float:
    return float(np.clip(expit(rng.normal(np.log(mean / (1 - mean)) if mean < 0.95 else 3.0, 1.0)), 0.035, 0.97))


def _loosen(box: Floats, rng: np.random.Generator, sd: float = EDGE_SD) -> Floats:
    """The box with errors of its edges, within the picture."""
    if rng.random() < LOOSE_SHARE:
        sd = LOOSE_SD
    size = np.tile(box[2:] - box[:2], 2)
    moved = np.clip(box + rng.normal(0, sd, 4) * size, 0, 1)
    return moved if (moved[2:] - moved[:2]).min() > 0.004 else box


def _place(rng: np.random.Generator) -> Floats:
    """A box of something that is no animal: as high and wide as simtrap's false ones."""
    height, width = np.clip(np.exp(rng.normal(np.log([0.15, 0.1]), [0.55, 0.6])), 0.02, 0.8)
    bottom = np.clip(rng.beta(3.0, 2.2), height, 1)
    left = rng.uniform(0, 1 - width)
    return np.array([left, bottom - height, left + width, bottom])


def _remembering(n: int, memory: float, rng: np.random.Generator) -> Floats:
    """A stationary autoregressive process of n steps with mean 0 and standard deviation 1."""
    values = rng.normal(size=n)
    for i in range(1, n):
        values[i] = memory * values[i - 1] + np.sqrt(1 - memory**2) * values[i]
    return values
