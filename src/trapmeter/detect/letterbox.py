"""Fit a picture into a detector's input, and carry its boxes back.

The picture keeps its aspect, lies at the top left, and the rest is black: what MegadetectorLite was trained on.
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

        Width and height have their own scale because each was rounded to whole pixels.
        """
        height, width = self.content_hw
        scaled = np.asarray(xyxy, dtype=np.float64) / (width, height, width, height)
        return np.clip(scaled, 0.0, 1.0)


def letterbox(pixels: Pixels, size: int, step: int) -> Letterbox:
    """Resize a picture (uint8, height x width x 3) to touch size x size, up or down, and pad it.

    The canvas' sides are multiples of step, as small as hold the picture; with step = size it is always size x size.
    Shrinking averages over areas, which is what keeps noise from looking like texture; growing is bilinear.
    """
    height, width = pixels.shape[:2]
    scale = min(size / height, size / width)
    content_h, content_w = (max(1, min(size, round(side * scale))) for side in (height, width))
    canvas = np.zeros((*(-(-side // step) * step for side in (content_h, content_w)), 3), dtype=np.uint8)
    if (content_h, content_w) == (height, width):
        canvas[:height, :width] = pixels
    else:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        canvas[:content_h, :content_w] = cv2.resize(pixels, (content_w, content_h), interpolation=how)
    return Letterbox(canvas, (content_h, content_w))
