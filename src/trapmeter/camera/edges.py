"""Edge directions: what pictures of one place have in common by day, by night, and in fog.

A trunk is dark against the sky by day and bright against the dark by flash. Its edges stay where they are and keep their
direction, but not which side is bright. So a direction counts modulo 180 degrees: its angle is doubled (Granlund 1978), and a
picture becomes a field of vectors. Each is divided by the mean strength of the edges around it, as faint edges count too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trapmeter.camera.homography import Homography
from trapmeter.records import Pixels

Plane = NDArray[np.float32]

STRIP_TOP = 0.08
STRIP_BOTTOM = 0.10
"""Shares of the height in which cameras print date and logo. They are left out, being the same at all sites."""
SMOOTHING_PX = 1.2
MEAN_OVER_SHARE = 0.085
"""Side of the square over which the strength of edges is averaged, as a share of the width."""
NOISE_ENERGY = 0.2
"""Squared gradient (grey levels per pixel) of noise, below which there are no edges."""
MIN_HEIGHT_PX = 16


@dataclass(frozen=True, slots=True)
class GreyPicture:
    """A picture for registration: grey levels (float32, height x width), and where it shows the scene (1) or not (0)."""

    grey: Plane
    shown: Plane

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.grey.shape[0], self.grey.shape[1]

    @property
    def fractions_to_px(self) -> Homography:
        """Maps fractions of the picture to pixels, with 0 in the middle of the first one."""
        height, width = self.size_hw
        return np.array([[width, 0.0, -0.5], [0.0, height, -0.5], [0.0, 0.0, 1.0]])


def grey_picture(pixels: Pixels, width: int) -> GreyPicture:
    """The picture scaled to a width in pixels; its height keeps the aspect ratio. The strips of text count as not shown."""
    height = max(MIN_HEIGHT_PX, round(pixels.shape[0] * width / pixels.shape[1]))
    interpolation = cv2.INTER_AREA if width < pixels.shape[1] else cv2.INTER_LINEAR
    scaled = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (width, height), interpolation=interpolation)
    first, last = shown_rows(height)
    shown = np.zeros((height, width), np.float32)
    shown[first:last] = 1.0
    return GreyPicture(scaled.astype(np.float32), shown)


def shown_rows(height: int) -> tuple[int, int]:
    """The first row below the strip at the top, and the first row of the strip at the bottom."""
    return math.ceil(STRIP_TOP * height), height - math.ceil(STRIP_BOTTOM * height)


def warp(picture: GreyPicture, to_source_px: Homography, size_hw: tuple[int, int]) -> GreyPicture:
    """The picture as another one sees it. to_source_px maps the pixels of the result to those of the picture."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    grey, shown = (
        cv2.warpPerspective(plane, to_source_px, size_hw[::-1], flags=flags) for plane in (picture.grey, picture.shown)
    )
    return GreyPicture(grey.astype(np.float32), (shown > 0.99).astype(np.float32))


def edge_directions(picture: GreyPicture) -> Plane:
    """The field of edge directions: height x width x 2, each vector at most 1 long, 0 where nothing is shown."""
    smooth = cv2.GaussianBlur(picture.grey, (0, 0), SMOOTHING_PX)
    right = cv2.Scharr(smooth, cv2.CV_32F, 1, 0) / 32
    down = cv2.Scharr(smooth, cv2.CV_32F, 0, 1) / 32
    energy = right * right + down * down
    # The border of what is shown is no edge of the scene.
    inside = cv2.erode(picture.shown, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_REPLICATE)
    side = 2 * round(MEAN_OVER_SHARE * picture.size_hw[1] / 2) + 1
    mean = cv2.blur(energy * inside, (side, side)) / np.maximum(cv2.blur(inside, (side, side)), 0.05)
    weight = inside / (energy + mean + NOISE_ENERGY)
    return np.dstack([(right * right - down * down) * weight, 2 * right * down * weight]).astype(np.float32)
