"""Blurs of a frame (uint8, height x width x 3)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from trapmeter.records import Pixels
from trapmeter.training.augment.plan import Blur, BoxBlur, GaussianBlur, GlassBlur, MedianBlur, MotionBlur

Blurrer: TypeAlias = Callable[[Pixels], Pixels]
"""From a frame to a new one."""


def blurrer(blur: Blur, size_hw: tuple[int, int]) -> Blurrer:
    """What carries out a blur on frames of size_hw, the same on each."""
    match blur:
        case BoxBlur(side):
            return partial(box_blurred, side_px=side)
        case GaussianBlur(side):
            return lambda frame: np.asarray(cv2.GaussianBlur(frame, (side, side), 0), np.uint8)
        case MedianBlur(side):
            return lambda frame: np.asarray(cv2.medianBlur(frame, side), np.uint8)
        case MotionBlur():
            kernel = motion_kernel(blur)
            return lambda frame: np.asarray(cv2.filter2D(frame, -1, kernel), np.uint8)
        case GlassBlur():
            return partial(_through_glass, sigma_px=blur.sigma_px, sources=glass_sources(blur, size_hw))


def box_blurred(frame: Pixels, side_px: int) -> Pixels:
    """The mean over squares of side_px around each pixel."""
    return np.asarray(cv2.blur(frame, (side_px, side_px)), np.uint8)


def motion_kernel(blur: MotionBlur) -> NDArray[np.float32]:
    """The weights of a motion blur, side x side, sum 1: even along the line."""
    line = np.zeros((blur.side_px, blur.side_px), np.uint8)
    cv2.line(line, blur.start, blur.end, 1)
    return line.astype(np.float32) / np.float32(line.sum())


def glass_sources(blur: GlassBlur, size_hw: tuple[int, int]) -> NDArray[np.int16]:
    """Where each pixel comes from (x, y; height x width x 2).

    albumentations exchanges pixels pair by pair. Here each takes the value found after as many random steps, which moves
    them by the same law without touching pixels one after the other.
    """
    rng = np.random.Generator(np.random.SFC64(blur.seed))
    height, width = size_hw
    steps = rng.integers(-blur.reach_px, blur.reach_px + 1, (blur.shuffles, height, width, 2), dtype=np.int8)
    sources: NDArray[np.int16] = steps.sum(axis=0, dtype=np.int16)
    sources[..., 0] += np.arange(width, dtype=np.int16)
    sources[..., 1] += np.arange(height, dtype=np.int16)[:, None]
    return sources


def _through_glass(frame: Pixels, sigma_px: float, sources: NDArray[np.int16]) -> Pixels:
    soft = cv2.GaussianBlur(frame, (0, 0), sigma_px)
    shuffled = cv2.remap(
        soft, sources, np.empty((0, 0), np.float32), cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cv2.GaussianBlur(shuffled, (0, 0), sigma_px), np.uint8)
