"""Fits a picture into a detector's input, and converts boxes back to fractions of the picture.

The picture keeps its aspect ratio and lies at the top left; the rest is black. MegadetectorLite was trained on this.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trapmeter.records import Pixels


@dataclass(frozen=True, slots=True)
class Letterbox:
    """A canvas (uint8, height x width x 3) whose top left content_hw pixels are the picture."""

    canvas: Pixels
    content_hw: tuple[int, int]

    def to_fractions(self, xyxy: NDArray[np.floating]) -> NDArray[np.float64]:
        """Boxes (n x 4) in canvas pixels as fractions of the picture, clipped to it.

        Width and height have different scales because each was rounded to whole pixels.
        """
        height, width = self.content_hw
        scaled = np.asarray(xyxy, dtype=np.float64) / (width, height, width, height)
        return np.clip(scaled, 0.0, 1.0)


def letterbox(pixels: Pixels, size: int, step: int) -> Letterbox:
    """Resizes a picture (uint8, height x width x 3), up or down, to just fit into size x size, and pads it.

    The canvas's sides are the least multiples of step that hold the picture; with step = size it is size x size.
    Shrinking averages over areas, so that noise doesn't look like texture; enlarging is bilinear.
    """
    height, width = pixels.shape[:2]
    scale = min(size / height, size / width)
    content_h, content_w = (max(1, min(size, round(side * scale))) for side in (height, width))
    canvas = np.zeros((*(-(-side // step) * step for side in (content_h, content_w)), 3), dtype=np.uint8)
    if (content_h, content_w) == (height, width):
        canvas[:height, :width] = pixels
    else:
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        canvas[:content_h, :content_w] = cv2.resize(pixels, (content_w, content_h), interpolation=interpolation)
    return Letterbox(canvas, (content_h, content_w))
