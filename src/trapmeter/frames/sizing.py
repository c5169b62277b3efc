"""How a picture comes to a network's size: one way for the frame store and for windows straight from a video."""

from __future__ import annotations

import numpy as np

from trapmeter.media.reading import Exactly, Scale
from trapmeter.models.spec import Resize
from trapmeter.records import Pixels


def decoded_size(size_hw: tuple[int, int], resize: Resize) -> Scale:
    """What a medium is opened with: the wanted size, or the full one where OpenCV resizes afterwards."""
    return Exactly(*size_hw) if resize is Resize.SWSCALE_AREA else None


def sized(pixels: Pixels, size_hw: tuple[int, int], resize: Resize) -> Pixels:
    """A picture of a medium that was opened with `decoded_size`, in the wanted size."""
    if resize is Resize.SWSCALE_AREA:
        return pixels
    import cv2

    height, width = size_hw
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
