"""Applies a plan to the frames and boxes of a window.

It finishes one frame before the next, so that a frame stays in the processor's cache through all steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

import cv2
import numpy as np
from numpy.typing import NDArray

from trapmeter.errors import InputError
from trapmeter.records import Box
from trapmeter.training.augment.pixels import (
    NoiseField,
    apply_box_blur,
    apply_tones,
    blur_function,
    draw_noise_field,
    tone_steps,
)
from trapmeter.training.augment.plan import AugmentPlan, GaussianNoise
from trapmeter.training.augment.random_plan import draw_plan
from trapmeter.training.augment.settings import AugmentSettings
from trapmeter.training.augment.warps import flip_box, make_warp
from trapmeter.training.augment.weather import weather_overlay

WindowPixels = NDArray[np.uint8]
"""Frames of a window: uint8, frames x height x width x 3, RGB."""


def augment(
    frames: WindowPixels, box: Box | None, rng: np.random.Generator, settings: AugmentSettings
) -> tuple[WindowPixels, Box | None]:
    """A changed copy of a window and of the animal's box, which is None once it has left the picture.

    All frames get the same random changes, including black ones outside the video. The arguments are not changed.

        rng = sample_rng(seed=1, epoch=0, sample_index=17)
        frames, box = augment(frames, box, rng, second_place_augmentation())
    """
    frames, (box,) = apply_plan(draw_plan(settings, _size_hw(frames), rng), frames, [box])
    return frames, box


def sample_rng(seed: int, epoch: int, sample_index: int) -> np.random.Generator:
    """The random numbers of one sample in one epoch, the same in every worker and rank.

    The spawn key of numpy's `SeedSequence` keeps the three numbers apart, so that no two triples share a stream.

    Raises:
        InputError: a number is negative.
    """
    if min(seed, epoch, sample_index) < 0:
        raise InputError(f"seed, epoch and sample index must be 0 or more, got {seed}, {epoch}, {sample_index}")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(epoch, sample_index))))


def apply_plan(
    plan: AugmentPlan, frames: WindowPixels, boxes: Sequence[Box | None] = ()
) -> tuple[WindowPixels, tuple[Box | None, ...]]:
    """Applies a plan, always with the same result for the same arguments. A box that has left the picture becomes None.

    Raises:
        ValueError: the frames are not a window, or not of the plan's size.
    """
    if _size_hw(frames) != plan.size_hw:
        raise ValueError(f"the plan is for frames of {plan.size_hw}, got {frames.shape}")
    blur = blur_function(plan.blur, plan.size_hw) if plan.blur is not None else None
    tones = tone_steps(plan)
    weather, warp = weather_overlay(plan), make_warp(plan)

    result = frames.copy()
    for i, (frame, noise) in enumerate(zip(result, _noise_fields(plan), strict=False)):
        if plan.grey:
            frame[:] = frame.mean(axis=2, keepdims=True, dtype=np.float32)
        if plan.dropout is not None:
            for x, y in plan.dropout.corners:
                frame[y : y + plan.dropout.side_px, x : x + plan.dropout.side_px] = 0
        changed = frame
        if blur is not None:
            changed = blur(changed)
        if tones or plan.colour_shift is not None:
            changed = apply_tones(changed, tones, plan.colour_shift)
        if noise is not None:
            changed = noise.apply_to(changed)
        if plan.fog is not None and plan.fog.blur_px > 1:
            changed = apply_box_blur(changed, plan.fog.blur_px)
        if weather is not None:
            changed = weather.apply_to(changed)
        if warp is not None:
            changed = warp.frame(changed)
        elif plan.flip:
            changed = np.asarray(cv2.flip(changed, 1), np.uint8)
        if changed is not frame:
            result[i] = changed

    def move(box: Box | None) -> Box | None:
        if box is None:
            return None
        if warp is not None:
            return warp.box(box)
        return flip_box(box) if plan.flip else box

    return result, tuple(map(move, boxes))


def _noise_fields(plan: AugmentPlan) -> Iterator[NoiseField | None]:
    """The noise of each frame, endlessly."""
    if not isinstance(plan.noise, GaussianNoise):
        yield from repeat(None)
        return
    rng = np.random.Generator(np.random.SFC64(plan.noise.seed))
    if plan.noise.per_frame:
        while True:
            yield draw_noise_field(plan.noise.variance, plan.size_hw, rng)
    yield from repeat(draw_noise_field(plan.noise.variance, plan.size_hw, rng))


def _size_hw(frames: WindowPixels) -> tuple[int, int]:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
        raise ValueError(f"expected a window: uint8, frames x height x width x 3; got {frames.dtype} {frames.shape}")
    return frames.shape[1], frames.shape[2]
