"""Fits a picture into a detector's input, and converts its boxes back to fractions of the picture.

Detectors are trained on pictures that keep their aspect ratio between margins, or on pictures that are stretched.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trapmeter.records import Box, Pixels


@dataclass(frozen=True, slots=True)
class FittedPicture:
    """A canvas (uint8, height x width x 3) with a picture of the size content_hw, whose top left corner is at offset_yx."""

    canvas: Pixels
    content_hw: tuple[int, int]
    offset_yx: tuple[int, int] = (0, 0)

    def to_fractions(self, xyxy: NDArray[np.floating]) -> NDArray[np.float64]:
        """Boxes (n x 4) in canvas pixels as fractions of the picture, clipped to it.

        Width and height have different scales because each was rounded to whole pixels.
        """
        (height, width), (top, left) = self.content_hw, self.offset_yx
        inside = np.asarray(xyxy, dtype=np.float64) - (left, top, left, top)
        return np.clip(inside / (width, height, width, height), 0.0, 1.0)

    def to_boxes(self, xyxy: NDArray[np.floating], scores: NDArray[np.floating]) -> list[Box]:
        """Boxes (n x 4, canvas pixels; n scores of 0..1) as records, without those that lie in the margin alone."""
        boxes = zip(self.to_fractions(xyxy).tolist(), scores.tolist(), strict=True)
        # Once it is clipped to the picture, a box in the margin has no area.
        return [Box(x1, y1, x2, y2, score) for (x1, y1, x2, y2), score in boxes if x1 < x2 and y1 < y2]


def letterbox(
    pixels: Pixels,
    size_hw: tuple[int, int],
    step_hw: tuple[int, int],
    *,
    margin: int = 0,
    is_centred: bool = False,
) -> FittedPicture:
    """Resizes a picture (uint8, height x width x 3), up or down, to just fit into size_hw, and adds margins.

    The canvas's sides are the least multiples of step_hw that hold the picture; with step_hw = size_hw it has that size.
    margin: the grey level (0..255) of what is not picture. is_centred: the picture lies in the middle, not at the top left.
    """
    height, width = pixels.shape[:2]
    scale = min(size_hw[0] / height, size_hw[1] / width)
    content_h, content_w = (
        max(1, min(most, round(side * scale))) for side, most in zip((height, width), size_hw, strict=True)
    )
    canvas_h, canvas_w = -(-content_h // step_hw[0]) * step_hw[0], -(-content_w // step_hw[1]) * step_hw[1]
    top, left = ((canvas_h - content_h) // 2, (canvas_w - content_w) // 2) if is_centred else (0, 0)
    canvas = np.full((canvas_h, canvas_w, 3), margin, dtype=np.uint8)
    canvas[top : top + content_h, left : left + content_w] = _resized(pixels, (content_h, content_w))
    return FittedPicture(canvas, (content_h, content_w), (top, left))


def stretch(pixels: Pixels, size_hw: tuple[int, int]) -> FittedPicture:
    """Resizes a picture (uint8, height x width x 3) to exactly size_hw, whatever its aspect ratio."""
    return FittedPicture(_resized(pixels, size_hw), size_hw)


def _resized(pixels: Pixels, size_hw: tuple[int, int]) -> Pixels:
    """Shrinking averages over areas, so that noise doesn't look like texture; enlarging is bilinear."""
    height, width = pixels.shape[:2]
    if size_hw == (height, width):
        return pixels
    is_smaller = size_hw[0] < height or size_hw[1] < width
    interpolation = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size_hw[::-1], interpolation=interpolation), dtype=np.uint8)
