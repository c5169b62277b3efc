"""Shows what moves in the pictures of a fixed camera, and softens what stands still.

Against a soft background an animal stands out that grass and shadows hide. What stands still is the median of the pictures;
where a picture differs from it by more than the noise, something moves: an animal, but also a leaf in the wind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trapmeter.records import Pixels

WIDTH = 320
"""Longest side, pixels, of the pictures for which the following sizes were chosen."""
NOISE_BLUR = 2.0
"""Standard deviation, pixels, of the blur that averages the noise of single pixels."""
LEAST_NOISES, LEAST_LEVELS = 3.0, 6.0
"""A place begins to move at LEAST_NOISES times the usual difference, and moves for certain at twice that and LEAST_LEVELS
grey levels more."""
MARGIN = 5
"""Side, pixels, of the square by which moving places grow, so that an animal's edge belongs to it."""
SOFT_BLUR = 12.0
"""Standard deviation, pixels, of the blur around which contrasts are changed."""
STILL_CONTRAST, MOVING_CONTRAST = 0.4, 1.5
"""Factors of the contrast where nothing moves, and where something does."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What stands still before a camera.

    still: height x width x 3, grey levels; soft: the same, blurred. noise: how much a picture usually differs from it, in
    grey levels.
    """

    still: NDArray[np.float32]
    soft: NDArray[np.float32]
    noise: float

    @classmethod
    def of(cls, pictures: Sequence[Pixels]) -> Scene:
        """The scene that pictures (uint8, height x width x 3) of the same size show; it takes at least three."""
        still = np.median(np.stack(pictures), axis=0).astype(np.float32)
        noise = np.median([np.median(_difference(picture, still)) for picture in pictures])
        return cls(still, np.asarray(cv2.GaussianBlur(still, (0, 0), SOFT_BLUR), np.float32), float(noise))

    def movement(self, picture: Pixels) -> NDArray[np.float32]:
        """How surely each place of a picture moves: height x width, 0..1."""
        least = LEAST_NOISES * self.noise
        moving = np.clip((_difference(picture, self.still) - least) / (least + LEAST_LEVELS), 0.0, 1.0)
        grown = cv2.dilate(moving, np.ones((MARGIN, MARGIN), np.uint8))
        return np.asarray(cv2.GaussianBlur(grown, (0, 0), NOISE_BLUR), np.float32)

    def highlight(self, picture: Pixels, movement: NDArray[np.float32]) -> Pixels:
        """The picture (uint8) with less contrast where it stands still, and more where it moves."""
        contrast = STILL_CONTRAST + (MOVING_CONTRAST - STILL_CONTRAST) * movement
        shown = self.soft + (picture - self.soft) * contrast[..., None]
        return np.clip(shown, 0.0, 255.0).astype(np.uint8)


def _difference(picture: Pixels, still: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest difference of the three colours, averaged over nearby pixels: height x width, grey levels."""
    return np.asarray(cv2.GaussianBlur(np.abs(picture - still).max(axis=-1), (0, 0), NOISE_BLUR), np.float32)
