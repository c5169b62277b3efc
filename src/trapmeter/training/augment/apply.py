"""Carries a plan out on a window, frame by frame, so that a frame stays in the processor's cache through all steps."""

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
    """A changed copy of a window and where the animal's box has gone; None when it has left the picture.

    All frames get the same draw, black ones outside the video too. The arguments are left as they are.

        rng = sample_rng(seed=1, epoch=0, sample_index=17)
        frames, box = augment(frames, box, rng, second_place())
    """
    frames, (box,) = apply_plan(draw_plan(settings, _size_hw(frames), rng), frames, [box])
    return frames, box


def sample_rng(seed: int, epoch: int, sample_index: int) -> np.random.Generator:
    """Random numbers that belong to one sample in one epoch, whichever worker or rank draws them.

    Made with numpy's `SeedSequence`, whose spawn key keeps the three numbers apart: no two triples share a stream.

    Raises:
        InputError: a number is negative.
    """
    if min(seed, epoch, sample_index) < 0:
        raise InputError(f"seed, epoch and sample index are 0 or more, got {seed}, {epoch}, {sample_index}")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(epoch, sample_index))))


def apply_plan(
    plan: AugmentPlan, frames: WindowPixels, boxes: Sequence[Box | None] = ()
) -> tuple[WindowPixels, tuple[Box | None, ...]]:
    """Does what the plan says. The same plan, frames and boxes always give the same answer; a box that has left is None.

    Raises:
        ValueError: the frames are not a window, or not of the size that the plan was drawn for.
    """
    if _size_hw(frames) != plan.size_hw:
        raise ValueError(f"the plan is for frames of {plan.size_hw}, got {frames.shape}")
    blurred = blur_function(plan.blur, plan.size_hw) if plan.blur is not None else None
    tones = tone_steps(plan)
    veiled, warped = weather_overlay(plan), make_warp(plan)

    answer = frames.copy()
    for i, (frame, noise) in enumerate(zip(answer, _noise_fields(plan), strict=False)):
        if plan.grey:
            frame[:] = frame.mean(axis=2, keepdims=True, dtype=np.float32)
        if plan.dropout is not None:
            for x, y in plan.dropout.corners:
                frame[y : y + plan.dropout.side_px, x : x + plan.dropout.side_px] = 0
        changed = frame
        if blurred is not None:
            changed = blurred(changed)
        if tones or plan.colour_shift is not None:
            changed = apply_tones(changed, tones, plan.colour_shift)
        if noise is not None:
            changed = noise.apply_to(changed)
        if plan.fog is not None and plan.fog.blur_px > 1:
            changed = apply_box_blur(changed, plan.fog.blur_px)
        if veiled is not None:
            changed = veiled.apply_to(changed)
        if warped is not None:
            changed = warped.frame(changed)
        elif plan.flip:
            changed = np.asarray(cv2.flip(changed, 1), np.uint8)
        if changed is not frame:
            answer[i] = changed

    def moved(box: Box | None) -> Box | None:
        if box is None:
            return None
        if warped is not None:
            return warped.box(box)
        return flip_box(box) if plan.flip else box

    return answer, tuple(map(moved, boxes))


def _noise_fields(plan: AugmentPlan) -> Iterator[NoiseField | None]:
    """The noise of each frame, one after the other, without end."""
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
        raise ValueError(f"a window is uint8, frames x height x width x 3; got {frames.dtype} {frames.shape}")
    return frames.shape[1], frames.shape[2]
