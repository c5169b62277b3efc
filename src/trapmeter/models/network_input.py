"""Turns a window's frames, a box and facts into a network's inputs, for training and prediction alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trapmeter.facts import NO_FACTS, Facts
from trapmeter.models.fact_inputs import fact_values
from trapmeter.models.input_spec import FrameEncoding, InputSpec
from trapmeter.records import Box
from trapmeter.windows import Edge

MIN_MASK_VALUE = 40
"""Value of a box with score 0: well above 0, so that even the least certain box differs from none."""


def network_input(frames: NDArray[np.uint8], box: Box | None, spec: InputSpec) -> NDArray[np.uint8]:
    """The input of one window.

    frames: uint8 (frames, height, width, 3), RGB, in the order of spec.offsets_s and of size spec.size_hw. box: the animal's
    in the frame of offset 0. Returns uint8 (spec.n_channels, height, width); the network itself divides by 255.
    """
    n_frames, height, width, _ = frames.shape
    if (n_frames, height, width) != (len(spec.offsets_s), *spec.size_hw):
        raise ValueError(f"expected {len(spec.offsets_s)} frames of {spec.size_hw}, got {frames.shape}")
    channels = np.empty((spec.n_channels, height, width), np.uint8)
    if spec.frames is FrameEncoding.RGB:
        channels[: 3 * n_frames] = frames.transpose(0, 3, 1, 2).reshape(3 * n_frames, height, width)
    else:
        now = spec.offsets_s.index(0.0)
        channels[:3] = frames[now].transpose(2, 0, 1)
        channels[3 : 2 + n_frames] = motion_channels(np.delete(frames, now, axis=0), frames[now])
    if spec.box_channel:
        channels[-1] = box_mask(box, height, width)
    return channels


def fact_input(facts: Facts, box: Box | None, spec: InputSpec) -> NDArray[np.float32]:
    """The second input of one window: float32 (k,) in the order of spec.facts, NaN where unknown.

    box: the same that the window shows.
    """
    return np.array(fact_values(facts, box, spec.facts), np.float32)


def fact_inputs(
    boxes: Sequence[Box | None], spec: InputSpec, facts: Sequence[Facts] = ()
) -> NDArray[np.float32] | None:
    """The second input of several windows, float32 (n, k); None if the network takes no facts. facts: none are known."""
    if not spec.facts:
        return None
    known = facts or [NO_FACTS] * len(boxes)
    return np.stack([fact_input(one, box, spec) for one, box in zip(known, boxes, strict=True)])


def as_photo(frames: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """The window of a photo that shows the frame of offset 0: seconds outside it are black, or repeat it."""
    now = spec.offsets_s.index(0.0)
    shown = np.zeros_like(frames) if spec.edge is Edge.BLACK else np.repeat(frames[now : now + 1], len(frames), axis=0)
    shown[now] = frames[now]
    return shown


def motion_channels(others: NDArray[np.uint8], now: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The absolute difference of each other frame's grey (frames, height, width, 3) from now's.

    An all black frame stands for a second outside the video, which shows no motion; its difference is 0.
    """
    grey = others.mean(axis=3, dtype=np.float32)
    difference = np.abs(grey - now.mean(axis=2, dtype=np.float32))
    difference[~others.any(axis=(1, 2, 3))] = 0
    return np.asarray(np.round(difference), np.uint8)


def box_mask(box: Box | None, height: int, width: int) -> NDArray[np.uint8]:
    """The box's score in the pixels whose centres are inside (at least one); 0 elsewhere, and everywhere without a box.

    MIN_MASK_VALUE stands for a score of 0, 255 for a score of 1.
    """
    mask = np.zeros((height, width), np.uint8)
    if box is not None:
        top, left = min(round(box.y1 * height), height - 1), min(round(box.x1 * width), width - 1)
        mask[top : max(top + 1, round(box.y2 * height)), left : max(left + 1, round(box.x2 * width))] = (
            MIN_MASK_VALUE + round((255 - MIN_MASK_VALUE) * box.score)
        )
    return mask


def mirror_input(inputs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The input of the window's mirror image; the last axis is the width."""
    return np.ascontiguousarray(inputs[..., ::-1])
