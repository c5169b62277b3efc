"""Tone and colour of a frame (uint8, height x width x 3), as few tables as the steps allow.

Steps that change every value by itself are collected in one table, float64, 256 entries with values 0..255 (or 256 x 3, by
channel), and rounded once when it is applied. Only saturation and hue, which mix channels, need the pixels in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from trapmeter.records import Pixels
from trapmeter.training.augment.plan import (
    BrightnessContrast,
    ColourJitter,
    ColourShift,
    Gamma,
    MultiplicativeNoise,
    Plan,
    ToneCurve,
)

Table: TypeAlias = NDArray[np.float64]
ToneStep: TypeAlias = BrightnessContrast | Gamma | ToneCurve | ColourJitter | MultiplicativeNoise

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in grey (ITU-R BT.601)."""
SAMPLE_STEP = 4
"""Statistics of a frame are taken from every 4th pixel in x and y: a sixteenth of the time, and on the demo's clips the mean
grey comes out within 0.5 grey levels (median 0.13), the shift of colours within 0.05."""
IDENTITY: Table = np.arange(256.0)


def tone_steps(plan: Plan) -> tuple[ToneStep, ...]:
    """The steps of a plan that belong here, in order, without the colour shift."""
    steps = (plan.brightness_contrast, plan.tone, plan.noise)
    return tuple(step for step in steps if isinstance(step, ToneStep))


def toned(frame: Pixels, steps: Sequence[ToneStep], shift: ColourShift | None = None) -> Pixels:
    """A new frame after all steps, and last the shift of colours."""
    table = IDENTITY
    for step in steps:
        if isinstance(step, ColourJitter):
            frame, table = _jittered(frame, table, step)
        else:
            table = np.clip(_through(table, step), 0.0, 255.0)
    if shift is not None:
        table = np.clip(table[:, None] + shift_of_colours(_sample(frame, table), shift.alpha), 0.0, 255.0)
    return looked_up(frame, table)


def looked_up(frame: Pixels, table: Table) -> Pixels:
    """The frame with each value exchanged for its entry, rounded."""
    entries = np.rint(table).astype(np.uint8)
    return np.asarray(cv2.LUT(frame, entries if entries.ndim == 1 else entries[None]), np.uint8)


def shift_of_colours(colours: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """What is added to red, green and blue: alpha times variance along each principal axis of colours (n x 3, 0..255).

    Krizhevsky et al. 2012, with one alpha for all three axes, as albumentations 1.0.3 drew it. An axis has no direction of
    its own; each is taken to point towards white.
    """
    n = len(colours)
    mean = np.ones(n) @ colours / n
    variances, axes = np.linalg.eigh((colours.T @ colours / n - np.outer(mean, mean)) / 255.0**2)
    axes = axes * np.where(axes.sum(axis=0) < 0.0, -1.0, 1.0)
    return np.asarray(255.0 * alpha * (axes @ variances))


def _through(table: Table, step: BrightnessContrast | Gamma | ToneCurve | MultiplicativeNoise) -> Table:
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


def _jittered(frame: Pixels, table: Table, jitter: ColourJitter) -> tuple[Pixels, Table]:
    """The frame and what is still to be looked up in it."""
    for name in jitter.order:
        match name:
            case "brightness":
                table = np.clip(table * jitter.brightness, 0.0, 255.0)
            case "contrast":
                mean = float((_sample(frame, table) @ LUMA).mean())
                table = np.clip(mean + (table - mean) * jitter.contrast, 0.0, 255.0)
            case "saturation":
                mix = jitter.saturation * np.eye(3) + (1.0 - jitter.saturation) * LUMA
                frame, table = np.asarray(cv2.transform(_flushed(frame, table), mix), np.uint8), IDENTITY
            case "hue":
                frame, table = _hue_turned(_flushed(frame, table), jitter.hue), IDENTITY
    return frame, table


def _flushed(frame: Pixels, table: Table) -> Pixels:
    return frame if table is IDENTITY else looked_up(frame, table)


def _hue_turned(frame: Pixels, turn: float) -> Pixels:
    """Hue moved by a fraction of the colour circle; OpenCV's hue has 180 steps."""
    hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
    entries = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    entries[:, 0] = (np.arange(256) + round(180.0 * turn)) % 180
    return np.asarray(cv2.cvtColor(cv2.LUT(hsv, entries[None]), cv2.COLOR_HSV2RGB), np.uint8)


def _sample(frame: Pixels, table: Table) -> NDArray[np.float64]:
    """Colours (n x 3) of some pixels as they are after the table."""
    return table[frame[::SAMPLE_STEP, ::SAMPLE_STEP].reshape(-1, 3)]
