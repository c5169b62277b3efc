"""Sensor noise: normal values for every pixel and channel, quickly.

Sixteen random bits select one of 65,536 even quantiles of the normal distribution, rounded to whole grey levels: a seventh
of the time of drawing normal numbers. What is added and what is taken away are kept apart, since OpenCV adds and
subtracts bytes with saturation faster than anything signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from trapmeter.records import Pixels


@dataclass(frozen=True, slots=True)
class NoiseField:
    """Noise of one frame: grey levels added and taken away, uint8, height x width x 3; one of the two is 0."""

    added: Pixels
    taken: Pixels

    def on(self, frame: Pixels) -> Pixels:
        """A new frame with the noise, between 0 and 255."""
        return np.asarray(cv2.subtract(cv2.add(frame, self.added), self.taken), np.uint8)


def noise_field(variance: float, size_hw: tuple[int, int], rng: np.random.Generator) -> NoiseField:
    """Noise of a variance in grey levels squared, at least 1/12."""
    # Rounding to whole numbers adds 1/12 of its own (Sheppard).
    levels = np.rint(_quantiles() * np.sqrt(max(variance - 1.0 / 12.0, 0.0)))
    n = size_hw[0] * size_hw[1] * 3
    index = rng.integers(2**64, size=-(-n // 4), dtype=np.uint64).view(np.uint16)[:n].reshape(*size_hw, 3)
    added, taken = (np.clip(side, 0.0, 255.0).astype(np.uint8).take(index, mode="clip") for side in (levels, -levels))
    return NoiseField(added, taken)


@cache
def _quantiles() -> NDArray[np.float32]:
    return np.asarray(ndtri((np.arange(65536) + 0.5) / 65536), np.float32)
