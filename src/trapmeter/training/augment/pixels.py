"""Changes to a frame's pixel values: blur, sensor noise, tone and colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from trapmeter.records import Pixels
from trapmeter.training.augment.plan import (
    AugmentPlan,
    Blur,
    BoxBlur,
    BrightnessContrast,
    ColourJitter,
    ColourShift,
    Gamma,
    GaussianBlur,
    GlassBlur,
    MedianBlur,
    MotionBlur,
    MultiplicativeNoise,
    ToneCurve,
)

BlurFunction: TypeAlias = Callable[[Pixels], Pixels]
"""Returns a blurred copy of a frame."""


def blur_function(blur: Blur, size_hw: tuple[int, int]) -> BlurFunction:
    """The function that applies a blur to frames of size_hw, with the same result on equal frames."""
    match blur:
        case BoxBlur(side):
            return partial(apply_box_blur, side_px=side)
        case GaussianBlur(side):
            return lambda frame: np.asarray(cv2.GaussianBlur(frame, (side, side), 0), np.uint8)
        case MedianBlur(side):
            return lambda frame: np.asarray(cv2.medianBlur(frame, side), np.uint8)
        case MotionBlur():
            kernel = motion_kernel(blur)
            return lambda frame: np.asarray(cv2.filter2D(frame, -1, kernel), np.uint8)
        case GlassBlur():
            return partial(_apply_glass_blur, sigma_px=blur.sigma_px, sources=glass_sources(blur, size_hw))


def apply_box_blur(frame: Pixels, side_px: int) -> Pixels:
    """The mean over squares of side_px around each pixel."""
    return np.asarray(cv2.blur(frame, (side_px, side_px)), np.uint8)


def motion_kernel(blur: MotionBlur) -> NDArray[np.float32]:
    """The weights of a motion blur, side x side with sum 1, equal along the line."""
    line = np.zeros((blur.side_px, blur.side_px), np.uint8)
    cv2.line(line, blur.start, blur.end, 1)
    return line.astype(np.float32) / np.float32(line.sum())


def glass_sources(blur: GlassBlur, size_hw: tuple[int, int]) -> NDArray[np.int16]:
    """The source of each pixel (height x width x 2: x, y).

    albumentations swaps pixels pair by pair. Here each pixel takes the value at the end of as many random steps: their
    displacements follow the same distribution, without a loop over pixels.
    """
    rng = np.random.Generator(np.random.SFC64(blur.seed))
    height, width = size_hw
    steps = rng.integers(-blur.reach_px, blur.reach_px + 1, (blur.shuffles, height, width, 2), dtype=np.int8)
    sources: NDArray[np.int16] = steps.sum(axis=0, dtype=np.int16)
    sources[..., 0] += np.arange(width, dtype=np.int16)
    sources[..., 1] += np.arange(height, dtype=np.int16)[:, None]
    return sources


def _apply_glass_blur(frame: Pixels, sigma_px: float, sources: NDArray[np.int16]) -> Pixels:
    soft = cv2.GaussianBlur(frame, (0, 0), sigma_px)
    shuffled = cv2.remap(
        soft, sources, np.empty((0, 0), np.float32), cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cv2.GaussianBlur(shuffled, (0, 0), sigma_px), np.uint8)


@dataclass(frozen=True, slots=True)
class NoiseField:
    """Noise of one frame: grey levels to add and to subtract, uint8, height x width x 3; one of the two is 0."""

    added: Pixels
    subtracted: Pixels

    def apply_to(self, frame: Pixels) -> Pixels:
        """A copy of the frame with the noise, clipped to 0..255."""
        return np.asarray(cv2.subtract(cv2.add(frame, self.added), self.subtracted), np.uint8)


def draw_noise_field(variance: float, size_hw: tuple[int, int], rng: np.random.Generator) -> NoiseField:
    """Gaussian noise with a variance in squared grey levels, at least 1/12."""
    # Rounding to integers adds a variance of 1/12 (Sheppard's correction).
    levels = np.rint(_quantiles() * np.sqrt(max(variance - 1.0 / 12.0, 0.0)))
    n = size_hw[0] * size_hw[1] * 3
    index = rng.integers(2**64, size=-(-n // 4), dtype=np.uint64).view(np.uint16)[:n].reshape(*size_hw, 3)
    added, subtracted = (
        np.clip(side, 0.0, 255.0).astype(np.uint8).take(index, mode="clip") for side in (levels, -levels)
    )
    return NoiseField(added, subtracted)


@cache
def _quantiles() -> NDArray[np.float32]:
    return np.asarray(ndtri((np.arange(65536) + 0.5) / 65536), np.float32)


ToneTable: TypeAlias = NDArray[np.float64]
ToneStep: TypeAlias = BrightnessContrast | Gamma | ToneCurve | ColourJitter | MultiplicativeNoise

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in grey (ITU-R BT.601)."""
SAMPLE_STEP = 4
"""Statistics of a frame use every 4th pixel in x and y, in a sixteenth of the time. On the demo's clips the mean grey changes
by at most 0.5 grey levels (median 0.13), the colour shift by at most 0.05."""
IDENTITY: ToneTable = np.arange(256.0)


def tone_steps(plan: AugmentPlan) -> tuple[ToneStep, ...]:
    """The tone steps of a plan in their order, without the colour shift."""
    steps = (plan.brightness_contrast, plan.tone, plan.noise)
    return tuple(step for step in steps if isinstance(step, ToneStep))


def apply_tones(frame: Pixels, steps: Sequence[ToneStep], shift: ColourShift | None = None) -> Pixels:
    """A copy of the frame after all steps and then the colour shift."""
    table = IDENTITY
    for step in steps:
        if isinstance(step, ColourJitter):
            frame, table = _apply_jitter(frame, table, step)
        else:
            table = np.clip(_compose(table, step), 0.0, 255.0)
    if shift is not None:
        table = np.clip(table[:, None] + colour_offsets(_sample_colours(frame, table), shift.alpha), 0.0, 255.0)
    return apply_table(frame, table)


def apply_table(frame: Pixels, table: ToneTable) -> Pixels:
    """A copy of the frame with each value replaced by its rounded entry in the table."""
    entries = np.rint(table).astype(np.uint8)
    return np.asarray(cv2.LUT(frame, entries if entries.ndim == 1 else entries[None]), np.uint8)


def colour_offsets(colours: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """Offsets of red, green and blue: alpha times variance along each principal axis of the colours (n x 3, 0..255).

    Krizhevsky et al. 2012, with one alpha for all three axes, as albumentations 1.0.3 drew it. The sign of an axis is
    arbitrary; here each points towards white.
    """
    n = len(colours)
    mean = np.ones(n) @ colours / n
    variances, axes = np.linalg.eigh((colours.T @ colours / n - np.outer(mean, mean)) / 255.0**2)
    axes = axes * np.where(axes.sum(axis=0) < 0.0, -1.0, 1.0)
    return np.asarray(255.0 * alpha * (axes @ variances))


def _compose(table: ToneTable, step: BrightnessContrast | Gamma | ToneCurve | MultiplicativeNoise) -> ToneTable:
    match step:
        case BrightnessContrast(brightness, contrast):
            return table * contrast + 255.0 * brightness
        case MultiplicativeNoise(factor):
            return table * factor
        case Gamma(gamma):
            return np.asarray(255.0 * (table / 255.0) ** gamma)
        case ToneCurve(low, high):
            t = table / 255.0
            return np.asarray(255.0 * t * (3.0 * (1.0 - t) ** 2 * low + 3.0 * (1.0 - t) * t * high + t * t))


def _apply_jitter(frame: Pixels, table: ToneTable, jitter: ColourJitter) -> tuple[Pixels, ToneTable]:
    """The frame, and the table still to be applied to it."""
    for name in jitter.order:
        match name:
            case "brightness":
                table = np.clip(table * jitter.brightness, 0.0, 255.0)
            case "contrast":
                mean = float((_sample_colours(frame, table) @ LUMA).mean())
                table = np.clip(mean + (table - mean) * jitter.contrast, 0.0, 255.0)
            case "saturation":
                mix = jitter.saturation * np.eye(3) + (1.0 - jitter.saturation) * LUMA
                frame, table = np.asarray(cv2.transform(_apply_pending(frame, table), mix), np.uint8), IDENTITY
            case "hue":
                frame, table = _rotate_hue(_apply_pending(frame, table), jitter.hue), IDENTITY
    return frame, table


def _apply_pending(frame: Pixels, table: ToneTable) -> Pixels:
    return frame if table is IDENTITY else apply_table(frame, table)


def _rotate_hue(frame: Pixels, turn: float) -> Pixels:
    """The frame with its hue moved by a fraction of the colour circle; OpenCV's hue has 180 steps."""
    hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
    entries = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    entries[:, 0] = (np.arange(256) + round(180.0 * turn)) % 180
    return np.asarray(cv2.cvtColor(cv2.LUT(hsv, entries[None]), cv2.COLOR_HSV2RGB), np.uint8)


def _sample_colours(frame: Pixels, table: ToneTable) -> NDArray[np.float64]:
    """Colours (n x 3) of every 4th pixel in x and y after the table."""
    return table[frame[::SAMPLE_STEP, ::SAMPLE_STEP].reshape(-1, 3)]
